"""A registered version as the policy that another training begins from."""

from __future__ import annotations

from pathlib import Path

from components.errors import RegistryError
from components.model_registry.lineage_types import TrainedOn
from components.model_registry.registry import connect, find_version, model_folder, parse_reference, statement_of
from components.model_registry.statement import from_statement
from components.store.digest import file_sha256


def registered_policy(reference: str) -> tuple[Path, str, str, dict[str, TrainedOn], str]:
    """Its files, the SHA-256 of its weights, its lineage's key, what it was trained on (bases before it too), and the
    frame that it speaks in.

    Raises RegistryError where the reference is no number of a version (an alias moves, and DVC would not see it), where
    there is no such version, and where a file of its policy is not the one that its statement names.
    """
    name, number, _ = parse_reference(reference)
    if not name or number is None:
        raise RegistryError(
            f"base.pretrained.path is {reference}; want models:/NAME/NUMBER: an alias would move unseen"
        )
    try:
        version = find_version(connect(), reference)
    except RegistryError as error:
        raise RegistryError(f"base.pretrained.path: {error}; `make demo` registers models:/lookout/1") from None
    folder, lineage = model_folder(version), from_statement(statement_of(version))
    found = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    if found != lineage["files"]:
        wrong = sorted(name for name in {*found, *lineage["files"]} if found.get(name) != lineage["files"].get(name))
        raise RegistryError(f"base.pretrained.path: {wrong[0]} of {reference} is not the file of its statement")
    weights = ",".join(lineage["weights"].values())
    own = {
        name: TrainedOn(role=one["role"], licence=one["licence"], dvc_md5=one["dvc_md5"])
        for name, one in lineage["data"].items()
    }
    data, frame = lineage["base"].get("data", {}) | own, lineage["params"]["prompts"]["frame"]
    return folder, weights, lineage["key"], data, frame
