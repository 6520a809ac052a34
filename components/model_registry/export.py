"""A version as a folder that transformers loads, without MLflow and without us."""

from __future__ import annotations

import shutil
from pathlib import Path

from components.errors import RegistryError
from components.model_registry.recall import HEAD, told
from components.model_registry.registry import artifact, connect, find_version, package_folder
from components.model_registry.subjects import POLICY, STATEMENT_FILE
from components.model_registry.verify import refuse_altered
from components.store.atomic import atomic_folder


def export(reference: str, folder: Path) -> Path:
    """Weights, tokenizer, processor, README.md and statement.json.

    Raises RegistryError for a full folder, and where the registry's files are not those registered.
    """
    if folder.exists() and any(folder.iterdir()):
        raise RegistryError(f"{folder} is there already and not empty; name a new folder")
    version = find_version(connect(), reference)
    with atomic_folder(folder) as partial:
        package = package_folder(version)
        refuse_altered(version, package)
        shutil.copytree(package / "artifacts" / POLICY, partial, dirs_exist_ok=True)
        for name in ("README.md", STATEMENT_FILE):
            shutil.copyfile(artifact(version, name), partial / name)
        if said := told(version):
            card = partial / "README.md"
            card.write_text(f"{HEAD} {said}\n\n{card.read_text()}")
    return folder
