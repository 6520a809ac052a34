"""RefCOCO, RefCOCO+ and RefCOCOg: refs(unc).p or refs(umd).p beside instances.json, or Parquet with the same columns.

A row is a reference: an annotation of a COCO train2014 image, its sentences, its split. An entry names file and split:
`refs(unc).p#testA`. The true box is the raw COCO annotation's; a bbox column is held against it, since converters
disagree whether it is x y w h or x1 y1 x2 y2. refs(google).p is refused: its splits share images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeGuard

from components.errors import SourceError
from components.sources.coco import categories_of, file_name, images_of, stream
from components.sources.parquet import parquet_rows
from components.sources.plain_json import shallow_json
from components.sources.plain_pickle import read_plain_pickle
from components.sources.source import (
    DEFAULTS,
    Corners,
    RawAsk,
    RawBox,
    RawScene,
    ReadOptions,
    corners,
    image_inside,
    shown,
    whole_text,
)

INSTANCES = "instances.json"
IMAGES = "train2014"
LEAKS = "refs(google).p"
LEAKS_RULE = "refcocog-google"
NEEDED = ("split", "image_id", "ann_id", "sentences")
MORE = ("ref_id", "category_id", "bbox")
OTHER = "object"
"""What a thing is called whose category instances.json does not have."""
LARGEST_ID = 1 << 63
TOLERANCE_PX = 1.0
"""Converters round."""


@dataclass(frozen=True, slots=True)
class _Instances:
    """What refs need of instances.json, by ID."""

    boxes: dict[int, tuple[int, Corners]]
    """the image's ID, the box"""
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
        raise SourceError(f"{path}: rule {LEAKS_RULE}: its splits share images; take refs(umd).p")
    instances = _instances(path.with_name(INSTANCES))
    images: dict[int, _Image] = {}
    for where, ref in _refs(path, split):
        _add(images, ref, instances, where)
    if not images:
        raise SourceError(f"{path}: no reference is of the split {split!r}")
    for identity, image in images.items():
        file, width, height = instances.images[identity]
        place = image_inside(options.images or IMAGES, file, image.where)
        boxes, asks = tuple(image.boxes), tuple(image.asks)
        yield RawScene(f"{split}/{identity}", place, boxes, image.where, (width, height), asks)


def split_names(path: Path) -> list[str]:
    """The splits that a file of references has, in the order of their first one. Raises SourceError."""
    return list(dict.fromkeys(ref["split"] for _, ref in _refs(path) if isinstance(ref.get("split"), str)))


def _refs(path: Path, split: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and row of each reference, of one split or of all."""
    if path.suffix == ".parquet":
        wanted = parquet_rows(path, ("split",)) if split is None else parquet_rows(path, NEEDED, MORE, ("split", split))
        yield from ((_place(path, row, where), row) for where, row in wanted)
        return
    rows = read_plain_pickle(path)
    if not isinstance(rows, list | tuple):
        raise SourceError(f"{path}: holds {type(rows).__name__}, want a list of references")
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise SourceError(f"{path}: reference {number} is {type(row).__name__}, want a mapping")
        if split is None or row.get("split") == split:
            yield _place(path, row, f"{path}: ref [{number}]"), row


def _place(path: Path, ref: dict[str, Any], otherwise: str) -> str:
    """Where a reference stands: by its ID, where it has one."""
    identity = ref.get("ref_id")
    return f"{path}: ref {identity}" if _is_id(identity) else otherwise


def _is_id(value: Any) -> TypeGuard[int]:
    return type(value) is int and abs(value) < LARGEST_ID


def _add(images: dict[int, _Image], ref: dict[str, Any], instances: _Instances, where: str) -> None:
    """One reference: its box once, a question a sentence."""
    identity, annotation, category = ref.get("image_id"), ref.get("ann_id"), ref.get("category_id")
    if not _is_id(identity) or not _is_id(annotation):
        raise SourceError(
            f"{where}: image_id is {shown(identity)} and ann_id {shown(annotation)}, want two whole numbers"
        )
    of_image, box = instances.boxes.get(annotation, (None, None))
    if box is None or of_image != identity or identity not in instances.images:
        raise SourceError(
            f"{where}: {INSTANCES} has no image {identity} with annotation {annotation}; is it another's?"
        )
    _check_column(ref.get("bbox"), box, where)
    image = images.setdefault(identity, _Image(where))
    if annotation not in image.places:
        image.places[annotation] = len(image.boxes)
        image.boxes.append(RawBox(_category(instances, category), False, box))
    for text in _sentences(ref.get("sentences"), where):
        image.asks.append(RawAsk(where, text, image.places[annotation]))


def _category(instances: _Instances, category: Any) -> str:
    return instances.categories.get(category, OTHER) if _is_id(category) else OTHER


def _check_column(column: Any, box: Corners, where: str) -> None:
    """A bbox column must be x1 y1 x2 y2 of the raw annotation."""
    if column is None:
        return
    try:
        numbers = shallow_json(column, where) if isinstance(column, str) else column
    except SourceError:
        numbers = None
    x, y, right, bottom = corners(numbers, f"{where}: bbox")  # read as x y w h, so that its four numbers are checked
    stated = (x, y, right - x, bottom - y)
    if _same(stated, box):
        return
    x1, y1, x2, y2 = box
    why = "it is x y w h" if _same(stated, (x1, y1, x2 - x1, y2 - y1)) else "it is another annotation's"
    raise SourceError(
        f"{where}: bbox is {[round(one, 1) for one in stated]}, the raw annotation's x1 y1 x2 y2 is "
        f"{[round(one, 1) for one in box]}: {why}"
    )


def _same(one: Corners, other: Corners) -> bool:
    return all(abs(a - b) <= TOLERANCE_PX for a, b in zip(one, other, strict=True))


def _sentences(value: Any, where: str) -> list[str]:
    found: list[str] = []
    for one in value if isinstance(value, list | tuple) else ():
        text = one.get("sent") or one.get("raw") if isinstance(one, dict) else one
        if not isinstance(text, str) or not text.strip():
            raise SourceError(f"{where}: a sentence is {shown(one)}, want words")
        found.append(" ".join(whole_text(text, where).split()))
    if not found:
        raise SourceError(f"{where}: has no sentences, got {shown(value)}; want a list of them")
    return found


def _instances(path: Path) -> _Instances:
    """instances.json, read once for all splits."""
    if not path.exists():
        raise SourceError(f"{path} is not there: the raw COCO annotations say where each thing is")
    return _read_instances(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read_instances(path: Path, changed: int) -> _Instances:
    del changed  # a key of the cache
    boxes: dict[int, tuple[int, Corners]] = {}
    for index, one in enumerate(stream(path, "annotations")):
        if not isinstance(one, dict) or not _is_id(one.get("id")) or not _is_id(one.get("image_id")):
            raise SourceError(f"{path}: annotations[{index}]: want an object with id and image_id, got {shown(one)}")
        boxes[one["id"]] = (one["image_id"], corners(one.get("bbox"), f"{path}: annotation {one['id']}"))
    images = {
        one["id"]: (file_name(one, f"{path}: image {one['id']}"), one["width"], one["height"])
        for one in images_of(path)
    }
    return _Instances(boxes, images, categories_of(path))
