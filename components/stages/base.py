"""base: the starting policy, built from params, a checkpoint of a pinned revision, or a registered version."""

from __future__ import annotations

import logging
from pathlib import Path

from components.model_registry.registry import REGISTRY
from components.model_registry.starting_policy import registered_policy
from components.params.base import BaseParams
from components.params.reading import load_section
from components.store.atomic import atomic_folder

log = logging.getLogger("lookout.base")


def run(out: Path, params: BaseParams) -> None:
    """Writes the model folder with the digest of each of its files."""
    from components.policy.base import RegisteredPolicy, write_base

    registered = None
    if params.pretrained and params.pretrained.path.startswith(REGISTRY):
        registered = RegisteredPolicy(*registered_policy(params.pretrained.path))
    with atomic_folder(out) as folder:
        parameters = write_base(folder, params, registered)
    log.info("the base policy has %.2f million parameters: %s", parameters / 1e6, out)


def main() -> None:
    run(Path("models/base"), load_section(BaseParams))
