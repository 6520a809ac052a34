"""RefCOCO, RefCOCO+ and RefCOCOg: refs(unc).p or refs(umd).p beside instances.json, or Parquet with the same columns.

A row is a reference: an annotation of a COCO train2014 image, its sentences, its split. An entry names file and split:
`refs(unc).p#testA`. The true box is the raw COCO annotation's; a bbox column is held against it, since converters
disagree whether it is x y w h or x1 y1 x2 y2. refs(google).p is refused: its splits share images.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from components.errors import SourceError
from components.sources.coco import stream
from components.sources.plain_pickle import read_plain_pickle
from components.sources.source import DEFAULTS, Corners, RawAsk, RawBox, RawScene, ReadOptions, corners, image_inside

INSTANCES = "instances.json"
IMAGES = "train2014"
LEAKS = "refs(google).p"
TOLERANCE_PX = 1.0
"""Converters round."""


@dataclass(frozen=True, slots=True)
class _Instances:
    """What refs need of instances.json, by ID."""

    boxes: dict[int, Corners]
    images: dict[int, tuple[str, int, int]]
    """file name, width, height"""
    categories: dict[int, str]


@dataclass(slots=True)
class _Image:
    """The references to one image as they come."""

    where: str
    places: dict[int, int] = field(default_factory=dict)
    """annotation ID -> its place among the boxes"""
    boxes: list[RawBox] = field(default_factory=list)
    asks: list[RawAsk] = field(default_factory=list)


def read(root: Path, annotations: Path, options: ReadOptions = DEFAULTS) -> Iterator[RawScene]:
    """The images of one split with their sentences, in the order of their first reference. Raises SourceError."""
    del root
    name, mark, split = annotations.name.rpartition("#")
    if not mark or not split:
        raise SourceError(f"{annotations}: want a file and its split, like refs(unc).p#train")
    path = annotations.with_name(name)
    if name == LEAKS:
        raise SourceError(f"{path}: rule refcocog-google: its splits share images; take refs(umd).p")
    instances = _instances(path.with_name(INSTANCES))
    images: dict[int, _Image] = {}
    for number, ref in enumerate(_refs(path)):
        if ref.get("split") == split:
            _add(images, ref, instances, f"{path}: ref {ref.get('ref_id', f'[{number}]')}")
    if not images:
        raise SourceError(f"{path}: no reference is of the split {split!r}")
    for identity, image in images.items():
        file, width, height = instances.images[identity]
        place = image_inside(options.images or IMAGES, file, image.where)
        boxes, asks = tuple(image.boxes), tuple(image.asks)
        yield RawScene(f"{split}/{identity}", place, boxes, image.where, (width, height), asks)


def _refs(path: Path) -> Iterator[dict[str, Any]]:
    rows = _parquet_rows(path) if path.suffix == ".parquet" else read_plain_pickle(path)
    if isinstance(rows, dict | str | bytes) or not hasattr(rows, "__iter__"):
        raise SourceError(f"{path}: holds {type(rows).__name__}, want a list of references")
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise SourceError(f"{path}: reference {number} is {type(row).__name__}, want a mapping")
        yield row


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = ("ref_id", "ann_id", "image_id", "category_id", "split", "sentences", "bbox")
    try:
        file = pq.ParquetFile(path)
        columns = [name for name in wanted if name in file.schema_arrow.names]
        for batch in file.iter_batches(batch_size=2048, columns=columns):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())[:120]})") from None


def _add(images: dict[int, _Image], ref: dict[str, Any], instances: _Instances, where: str) -> None:
    """One reference: its box once, a question a sentence."""
    identity, annotation = ref.get("image_id"), ref.get("ann_id")
    if identity not in instances.images or annotation not in instances.boxes:
        raise SourceError(
            f"{where}: {INSTANCES} has no image {identity} with annotation {annotation}; is it another's?"
        )
    box = instances.boxes[annotation]
    _check_column(ref.get("bbox"), box, where)
    image = images.setdefault(identity, _Image(where))
    if annotation not in image.places:
        image.places[annotation] = len(image.boxes)
        image.boxes.append(RawBox(instances.categories.get(ref.get("category_id", -1), "object"), False, box))
    for text in _sentences(ref.get("sentences"), where):
        image.asks.append(RawAsk(where, text, image.places[annotation]))


def _check_column(column: Any, box: Corners, where: str) -> None:
    """A bbox column must be x1 y1 x2 y2 of the raw annotation."""
    if column is None:
        return
    if isinstance(column, str):
        column = json.loads(column)
    if len(column) == 4 and all(abs(one - other) <= TOLERANCE_PX for one, other in zip(column, box, strict=True)):
        return
    x1, y1, x2, y2 = box
    sides = (x1, y1, x2 - x1, y2 - y1)
    swapped = len(column) == 4 and all(abs(a - b) <= TOLERANCE_PX for a, b in zip(column, sides, strict=True))
    why = "it is x y w h" if swapped else "it is another annotation's"
    raise SourceError(
        f"{where}: bbox is {[round(float(one), 1) for one in column]}, the raw annotation's x1 y1 x2 y2 is "
        f"{[round(one, 1) for one in box]}: {why}"
    )


def _sentences(value: Any, where: str) -> list[str]:
    found: list[str] = []
    for one in value if isinstance(value, list | tuple) else ():
        text = one.get("sent") or one.get("raw") if isinstance(one, dict) else one
        if not isinstance(text, str) or not text.strip():
            raise SourceError(f"{where}: a sentence is {str(one)[:60]!r}, want words")
        found.append(" ".join(text.split()))
    if not found:
        raise SourceError(f"{where}: has no sentences")
    return found


def _instances(path: Path) -> _Instances:
    """instances.json, read once for all splits."""
    if not path.exists():
        raise SourceError(f"{path} is not there: the raw COCO annotations say where each thing is")
    return _read_instances(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read_instances(path: Path, changed: int) -> _Instances:
    del changed  # a key of the cache
    boxes = {
        int(one["id"]): corners(one.get("bbox"), f"{path}: annotation {one['id']}")
        for one in stream(path, "annotations")
    }
    images = {
        int(one["id"]): (str(one["file_name"]), int(one["width"]), int(one["height"])) for one in stream(path, "images")
    }
    categories = {int(one["id"]): str(one["name"]) for one in stream(path, "categories")}
    return _Instances(boxes, images, categories)
