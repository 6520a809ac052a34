"""synthesize: a drawn dataset in a published one's own layout, deterministic by its seed."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.drawing.coco_layout import write_kinds, write_references
from components.drawing.counts import write_counts
from components.drawing.crowd import write_crowd
from components.drawing.text import write_text
from components.errors import ParamsError
from components.params.drawing import DrawingParams, Drawn, check_root
from components.params.reading import PARAMS_FILE, entry_of, load_entries
from components.store.atomic import atomic_folder

WRITERS: dict[str, Callable[[Path, Any, int], dict[str, int]]] = {
    "crowdhuman": write_crowd,
    "pixmo_count": write_counts,
    "refcoco": write_references,
    "coco": write_kinds,
    "image_text": write_text,
}
log = logging.getLogger("lookout.synthesize")


def run(out: Path, params: DrawingParams) -> None:
    """Draws the dataset and puts it in place as a whole."""
    with atomic_folder(out) as folder:
        drawn = WRITERS[params.layout](folder, params, os.cpu_count() or 1)
    images = params.images.model_dump()
    log.info("drew %s images with %s things to find into %s", images, drawn, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="key in the section synthetic: of params.yaml")
    name = parser.parse_args().name
    params: DrawingParams = entry_of(load_entries("synthetic", Drawn), "synthetic", name)
    try:
        check_root(name, params)
    except ValueError as error:
        raise ParamsError(f"{PARAMS_FILE}: {error}") from None
    root = Path(params.root)
    if root.resolve() != Path.cwd().resolve() / root:
        raise ParamsError(f"{root} leads to {root.resolve()} by a link; drawing replaces it: take the link away")
    run(root, params)
