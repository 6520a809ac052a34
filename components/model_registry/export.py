"""A version as a folder that transformers loads, without MLflow and without us."""

from __future__ import annotations

import shutil
from pathlib import Path

from components.errors import RegistryError
from components.model_registry.registry import STATEMENT_FILE, artifact, connect, find_version, model_folder
from components.store.atomic import atomic_folder


def export(reference: str, folder: Path, default_name: str = "") -> Path:
    """Weights, tokenizer, processor, README.md and statement.json. Raises RegistryError for a full folder."""
    if folder.exists() and any(folder.iterdir()):
        raise RegistryError(f"{folder} is there already and not empty; name a new folder")
    version = find_version(connect(), reference, default_name)
    with atomic_folder(folder) as partial:
        shutil.copytree(model_folder(version), partial, dirs_exist_ok=True)
        for name in ("README.md", STATEMENT_FILE):
            shutil.copyfile(artifact(version, name), partial / name)
    return folder
