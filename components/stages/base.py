"""base: the starting policy, built from params, a checkpoint of a pinned revision, or a registered version."""

from __future__ import annotations

import logging
from pathlib import Path

from components.params.base import BaseParams
from components.params.reading import load_section
from components.policy.registered import REGISTRY, Fetch, registered_policy
from components.store.atomic import atomic_folder

log = logging.getLogger("lookout.base")


def run(out: Path, params: BaseParams, fetch: Fetch) -> None:
    """Writes the model folder with the digest of each of its files; `fetch` has a registered version at hand."""
    from components.policy.base import write_base

    reference = params.pretrained.path if params.pretrained else ""
    registered = None
    if reference.startswith(REGISTRY):
        registered = registered_policy(reference, *fetch(reference))
    with atomic_folder(out) as folder:
        parameters = write_base(folder, params, registered)
    log.info("the base policy has %.2f million parameters: %s", parameters / 1e6, out)


def main(fetch: Fetch) -> None:
    run(Path("models/base"), load_section(BaseParams), fetch)
