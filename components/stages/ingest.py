"""ingest: a dataset as it was downloaded -> scenes.parquet and boxes.parquet. Nothing is dropped or mended."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from components.errors import ParamsError, SourceError
from components.params import DatasetParams, load_params
from components.sources import SOURCES
from components.sources.images import inspect_image
from components.sources.source import Corners, RawScene
from components.stages import progress, run_stage
from components.store.atomic import atomic_folder
from components.store.schemas import BOXES, SCENES
from components.store.tables import TableWriter, open_table_writer

log = logging.getLogger("lookout.ingest")
BATCH = 512


def run(name: str, out: Path, params: DatasetParams) -> None:
    """Reads every split. Raises SourceError with file and line; then the old output stays whole."""
    root = Path(params.root)
    check_layout(name, root, params)
    with (
        atomic_folder(out) as folder,
        open_table_writer(folder / "scenes.parquet", SCENES) as scenes,
        open_table_writer(folder / "boxes.parquet", BOXES) as boxes,
        ProcessPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        for split, file in params.annotations.items():
            read = SOURCES[params.format](root, root / file)
            before = (scenes.rows, boxes.rows)
            for batch in _batches(progress(read, f"{name} {split}")):
                facts = pool.map(inspect_image, [root / scene.image_path for scene in batch], chunksize=32)
                scenes.write([_scene_row(name, split, scene, asdict(f)) for scene, f in zip(batch, facts, strict=True)])
                _write_boxes(boxes, split, batch)
            images, people = scenes.rows - before[0], boxes.rows - before[1]
            log.info("%s %s: %d lines read, %d images and %d boxes written", name, split, images, images, people)
            if not images:
                raise SourceError(f"{root / file} holds no image at all; is it the right file?")


def check_layout(name: str, root: Path, params: DatasetParams) -> None:
    """Raises SourceError that says what was looked for and what lies there instead."""
    if params.format not in SOURCES:
        raise ParamsError(f"datasets.{name}.format is {params.format!r}; want one of {sorted(SOURCES)}")
    if not root.is_dir():
        raise SourceError(f"datasets.{name}.root: the folder {root} is not there; download the dataset, or `dvc pull`")
    for file in params.annotations.values():
        if not (root / file).is_file():
            there = ", ".join(sorted(path.name for path in islice(root.iterdir(), 8))) or "nothing"
            raise SourceError(f"datasets.{name}: {root / file} is not there; the folder holds {there}")


def _batches(scenes: Iterator[RawScene]) -> Iterator[list[RawScene]]:
    while batch := list(islice(scenes, BATCH)):
        yield batch


def _scene_row(name: str, split: str, scene: RawScene, facts: dict[str, Any]) -> dict[str, Any]:
    defect = facts.pop("defect")
    place = {"scene_id": scene.scene_id, "source": name, "split": split, "image_path": scene.image_path}
    return place | facts | {"image_defect": defect, "annotation": scene.annotation}


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="key in the section datasets: of params.yaml")
    name = parser.parse_args().dataset
    datasets = load_params().datasets
    if name not in datasets:
        raise ParamsError(f"params.yaml has no datasets.{name}; it has {sorted(datasets)}")
    run(name, Path("data/interim") / name, datasets[name])


if __name__ == "__main__":
    run_stage(main)
