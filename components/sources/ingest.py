"""A dataset as it was downloaded -> scenes, boxes and asks.parquet. Nothing is dropped or mended."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath

from components.core.words import Split
from components.errors import SourceError
from components.machine.children import process_pool
from components.machine.home import lookout_home
from components.machine.progress import progress
from components.params.datasets import DatasetParams
from components.sources.image_cache import ImageCache
from components.sources.images import ImageFacts, inspect_image
from components.sources.reading import check_layout, read_split
from components.sources.source import Note, RawAsk, RawBox, RawScene
from components.store.atomic import atomic_folder
from components.store.image_files import IMAGE_SUFFIXES
from components.store.schemas.ingested import ASKS, BOXES, NOTES, SCENES, AskRow, BoxRow, NoteRow, SceneRow
from components.store.tables import TableWriter, open_table_writer

log = logging.getLogger("lookout.ingest")
BATCH = 512
NOWHERE = (None, None, None, None)


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


def _orphans(root: Path, params: DatasetParams, named: set[str]) -> list[NoteRow]:
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

    scenes: TableWriter[SceneRow]
    boxes: TableWriter[BoxRow]
    asks: TableWriter[AskRow]
    notes: TableWriter[NoteRow]

    def write(
        self, name: str, split: Split, batch: list[RawScene | Note], found: list[RawScene], facts: list[ImageFacts]
    ) -> None:
        self.scenes.write([_scene_row(name, split, scene, of) for scene, of in zip(found, facts, strict=True)])
        self.boxes.write([_box_row(split, s, index, box) for s in found for index, box in enumerate(s.boxes)])
        self.asks.write([_ask_row(split, s, index, ask) for s in found for index, ask in enumerate(s.asks)])
        self.notes.write(
            [
                {"split": split, "kind": row.kind, "where": row.where, "reason": row.reason}
                for row in batch
                if isinstance(row, Note)
            ]
        )


def _batches(rows: Iterator[RawScene | Note]) -> Iterator[list[RawScene | Note]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _scene_row(name: str, split: Split, scene: RawScene, facts: ImageFacts) -> SceneRow:
    width, height = scene.stated_size or (None, None)
    return {
        "scene_id": scene.scene_id,
        "source": name,
        "split": split,
        "image_path": scene.image_path,
        "width_px": facts.width_px,
        "height_px": facts.height_px,
        "stated_width_px": width,
        "stated_height_px": height,
        "sha256": facts.sha256,
        "stated_sha256": scene.stated_sha256,
        "file_bytes": facts.file_bytes,
        "exif_orientation": facts.exif_orientation,
        "perceptual_hash": facts.perceptual_hash,
        "image_defect": facts.defect,
        "annotation": scene.annotation,
    }


def _ask_row(split: Split, scene: RawScene, index: int, ask: RawAsk) -> AskRow:
    return {
        "scene_id": scene.scene_id,
        "split": split,
        "ask_index": index,
        "phrase": ask.phrase,
        "box_index": ask.box_index,
        "count": ask.count,
        "points": ask.points,
        "text": ask.text,
        "annotation": ask.annotation,
    }


def _box_row(split: Split, scene: RawScene, index: int, box: RawBox) -> BoxRow:
    x1, y1, x2, y2 = box.full
    visible, head = box.visible or NOWHERE, box.head or NOWHERE
    return {
        "scene_id": scene.scene_id,
        "split": split,
        "box_index": index,
        "label": box.label,
        "ignore": box.ignore,
        "x1": x1,
        "y1": y1,
        "x2": x2,
        "y2": y2,
        "visible_x1": visible[0],
        "visible_y1": visible[1],
        "visible_x2": visible[2],
        "visible_y2": visible[3],
        "head_x1": head[0],
        "head_y1": head[1],
        "head_x2": head[2],
        "head_y2": head[3],
    }
