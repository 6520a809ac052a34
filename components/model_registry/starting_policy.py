"""The version that base.pretrained.path names, as the registry has it: the starter hands it to the stage."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from components.errors import RegistryError
from components.model_registry.registry import connect, find_version, model_folder, parse_reference, statement_of
from components.model_registry.statement import from_statement
from components.policy.registered import Recorded


def fetch_policy(reference: str) -> tuple[Path, Recorded]:
    """Its files, and its lineage.

    Raises RegistryError where the reference is no number of a version (an alias moves, and DVC would not see it), and
    where there is no such version.
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
    return model_folder(version), cast("Recorded", from_statement(statement_of(version)))
