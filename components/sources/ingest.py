"""A dataset as it was downloaded -> scenes, boxes and asks.parquet. Nothing is dropped or mended."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from components.errors import SourceError
from components.machine.children import process_pool
from components.machine.home import lookout_home
from components.machine.progress import progress
from components.params.datasets import DatasetParams
from components.sources.image_cache import ImageCache
from components.sources.images import ImageFacts, inspect_image
from components.sources.reading import check_layout, read_split
from components.sources.source import Corners, Note, RawAsk, RawScene
from components.store.atomic import atomic_folder
from components.store.image_files import IMAGE_SUFFIXES
from components.store.schemas.ingested import ASKS, BOXES, NOTES, SCENES
from components.store.tables import TableWriter, open_table_writer

log = logging.getLogger("lookout.ingest")
BATCH = 512
OF_ASK = tuple(field.name for field in fields(RawAsk))


def run(name: str, out: Path, params: DatasetParams) -> None:
    """Reads every split. Raises SourceError with file and line; then the old output stays whole."""
    root = Path(params.root)
    check_layout(name, root, params)
    with (
        atomic_folder(out) as folder,
        open_table_writer(folder / "scenes.parquet", SCENES) as scenes,
        open_table_writer(folder / "boxes.parquet", BOXES) as boxes,
        open_table_writer(folder / "asks.parquet", ASKS) as asks,
        open_table_writer(folder / "notes.parquet", NOTES) as notes,
        ImageCache(lookout_home() / "images.sqlite") as cache,
        process_pool(os.cpu_count() or 1) as pool,
    ):
        writers, named, paths_of = Writers(scenes, boxes, asks, notes), set[str](), dict[str, str]()
        for split in params.annotations:
            before = (scenes.rows, boxes.rows, asks.rows, notes.rows)
            for batch in _batches(progress(read_split(root, params, split), f"{name} {split}")):
                found = [_told_apart(row, paths_of) for row in batch if isinstance(row, RawScene)]
                paths = [root / scene.image_path for scene in found]
                facts = cache.facts(paths, lambda new: pool.map(inspect_image, new, chunksize=32), root)
                writers.write(name, split, batch, found, facts)
                named |= {scene.image_path for scene in found}
            images, people, asked, noted = (
                now - old for now, old in zip((scenes.rows, boxes.rows, asks.rows, notes.rows), before, strict=True)
            )
            log.info(
                "%s %s: %d images with %d boxes and %d questions written, %d rows noted",
                name, split, images, people, asked, noted,
            )  # fmt: skip
            if not images:
                raise SourceError(
                    f"{root}: {', '.join(params.files(split))} hold no image at all, {noted} rows were skipped; are "
                    "they the right files, and are the images there? (of a dataset of URLs: lookout fetch-images)"
                )
        notes.write(_orphans(root, params, named))


def _told_apart(scene: RawScene, paths_of: dict[str, str]) -> RawScene:
    """The scene; by its path where another split's folder has another image of the same ID: train/1.jpg, val/1.jpg."""
    if paths_of.setdefault(scene.scene_id, scene.image_path) == scene.image_path:
        return scene
    return replace(scene, scene_id=scene.image_path)


def _orphans(root: Path, params: DatasetParams, named: set[str]) -> list[dict[str, str]]:
    """A note for each image beside the annotated ones that no annotation which the entry takes names."""
    folders = sorted({PurePosixPath(path).parent for path in named})
    files = (path for folder in folders if (root / folder).is_dir() for path in sorted((root / folder).iterdir()))
    reason = f"orphan: an image that no annotation of this entry names (it takes {', '.join(params.annotations)})"
    return [
        {"split": "", "kind": "flagged", "where": str(path), "reason": reason}
        for path in files
        if path.suffix.lower() in IMAGE_SUFFIXES and path.relative_to(root).as_posix() not in named
    ]


@dataclass(frozen=True, slots=True)
class Writers:
    """The tables of one dataset."""

    scenes: TableWriter
    boxes: TableWriter
    asks: TableWriter
    notes: TableWriter

    def write(
        self, name: str, split: str, batch: list[RawScene | Note], found: list[RawScene], facts: list[ImageFacts]
    ) -> None:
        self.scenes.write([_scene_row(name, split, s, asdict(f)) for s, f in zip(found, facts, strict=True)])
        _write_boxes(self.boxes, split, found)
        self.asks.write([row for scene in found for row in _ask_rows(split, scene)])
        self.notes.write([{"split": split} | asdict(row) for row in batch if isinstance(row, Note)])


def _batches(rows: Iterator[RawScene | Note]) -> Iterator[list[RawScene | Note]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _scene_row(name: str, split: str, scene: RawScene, facts: dict[str, Any]) -> dict[str, Any]:
    defect = facts.pop("defect")
    width, height = scene.stated_size or (None, None)
    place = {"scene_id": scene.scene_id, "source": name, "split": split, "image_path": scene.image_path}
    stated = {"stated_width_px": width, "stated_height_px": height, "stated_sha256": scene.stated_sha256}
    return place | stated | facts | {"image_defect": defect, "annotation": scene.annotation}


def _ask_rows(split: str, scene: RawScene) -> list[dict[str, Any]]:
    place = {"scene_id": scene.scene_id, "split": split}
    return [
        place | {"ask_index": index} | {name: getattr(ask, name) for name in OF_ASK}  # asdict copies every point
        for index, ask in enumerate(scene.asks)
    ]


def _write_boxes(writer: TableWriter, split: str, batch: list[RawScene]) -> None:
    writer.write(
        [
            {
                "scene_id": scene.scene_id,
                "split": split,
                "box_index": index,
                "label": box.label,
                "ignore": box.ignore,
                **_columns("", box.full),
                **_columns("visible_", box.visible),
                **_columns("head_", box.head),
            }
            for scene in batch
            for index, box in enumerate(scene.boxes)
        ]
    )


def _columns(prefix: str, corners: Corners | None) -> dict[str, float | None]:
    values = corners or (None, None, None, None)
    return {f"{prefix}{key}": value for key, value in zip(("x1", "y1", "x2", "y2"), values, strict=True)}
