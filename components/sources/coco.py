"""COCO's instances JSON, and what is like it (Objects365, LVIS): images, annotations and categories in one file.

The file is streamed twice, so memory grows with the number of boxes (about 100 bytes each), not with the
segmentations. `iscrowd` and `ignore` make an ignore region; its box is taken, its mask is not. LVIS has no
`file_name`: the last two parts of `coco_url` are the path.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from components.errors import SourceError
from components.sources.plain_json import ShallowFile
from components.sources.source import (
    DEFAULTS,
    Corners,
    Note,
    RawBox,
    RawScene,
    ReadOptions,
    corners,
    image_inside,
    is_flagged,
    is_identity,
    shown,
    typed,
    whole_text,
)

NO_BOX = (float("nan"),) * 4


@dataclass(slots=True)
class _Boxes:
    """Every annotation in columns; `image` is the image's place in the file."""

    image: array[int] = field(default_factory=lambda: array("q"))
    category: array[int] = field(default_factory=lambda: array("q"))
    ignore: array[int] = field(default_factory=lambda: array("b"))
    full: array[float] = field(default_factory=lambda: array("d"))
    visible: array[float] = field(default_factory=lambda: array("d"))


def read(root: Path, annotations: Path, options: ReadOptions = DEFAULTS) -> Iterator[RawScene | Note]:
    """The images in the file's order. Raises SourceError that names the file and the entry."""
    del root
    categories = categories_of(annotations)
    places = {image["id"]: place for place, image in enumerate(images_of(annotations))}
    boxes = _Boxes()
    yield from _fill(boxes, annotations, places, categories)
    names = tuple(categories.values())
    order = np.argsort(np.asarray(boxes.image), kind="stable")
    bounds = np.searchsorted(np.asarray(boxes.image)[order], np.arange(len(places) + 1))
    for place, image in enumerate(images_of(annotations)):
        where = f"{annotations}: image {image['id']}"
        name = file_name(image, where)
        if image.get("not_exhaustive_category_ids"):
            unsure = ", ".join(str(categories.get(one, one)) for one in image["not_exhaustive_category_ids"])
            yield Note("flagged", where, f"not every {unsure} is annotated")
        found = tuple(_box(boxes, i, names) for i in order[bounds[place] : bounds[place + 1]])
        size = (image["width"], image["height"])
        yield RawScene(name, image_inside(options.images or _folder(annotations), name, where), found, where, size)


def _folder(annotations: Path) -> str:
    """annotations/instances_val2017.json -> val2017."""
    return annotations.stem.rpartition("_")[2]


def stream(path: Path, key: str) -> Iterator[Any]:
    """The entries of one list of the file, one by one. Raises SourceError where it is no such JSON."""
    import ijson

    try:
        with path.open("rb") as file:
            yield from ijson.items(ShallowFile(file, str(path)), f"{key}.item", use_float=True)
    except (ijson.JSONError, UnicodeDecodeError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())[:120]
        raise SourceError(f"{path}: {key} cannot be read as JSON ({reason}); is the file cut or damaged?") from None


def categories_of(path: Path) -> dict[Any, str]:
    """ID -> word. Raises SourceError that names the entry."""
    categories: dict[Any, str] = {}
    for index, one in enumerate(stream(path, "categories")):
        if not isinstance(one, dict) or not is_identity(one.get("id")) or not isinstance(one.get("name"), str):
            raise SourceError(f"{path}: categories[{index}]: want an object with id and name, got {shown(one)}")
        if one["id"] in categories:
            raise SourceError(f"{path}: categories[{index}]: the id {one['id']} stands twice")
        categories[one["id"]] = whole_text(one["name"], f"{path}: categories[{index}]")
    if not categories:
        raise SourceError(f"{path}: has no categories; is this a COCO instances file?")
    return categories


def images_of(path: Path) -> Iterator[dict[str, Any]]:
    """The images' entries, with an ID and a size each. Raises SourceError that names the entry."""
    seen: set[Any] = set()
    for index, image in enumerate(stream(path, "images")):
        if not isinstance(image, dict) or not is_identity(image.get("id")):
            raise SourceError(f"{path}: images[{index}]: want an object with an id, got {shown(image)}")
        if not all(type(image.get(key)) is int and 0 < image[key] < 10**6 for key in ("width", "height")):
            raise SourceError(f"{path}: image {image['id']}: want width and height in pixels")
        if not isinstance(image.get("not_exhaustive_category_ids", []), list):
            raise SourceError(f"{path}: image {image['id']}: not_exhaustive_category_ids is no list")
        if image["id"] in seen:
            raise SourceError(f"{path}: images[{index}]: the id {image['id']} stands twice")
        seen.add(image["id"])
        yield image


def file_name(image: dict[str, Any], where: str) -> str:
    """Its path below the folder of images. Raises SourceError where the image has none."""
    name, url = image.get("file_name"), image.get("coco_url")
    if isinstance(name, str):
        return name
    if isinstance(url, str):
        try:
            return "/".join(urlsplit(url).path.split("/")[-2:])
        except ValueError:
            pass
    raise SourceError(f"{where}: has neither file_name nor coco_url")


def _fill(boxes: _Boxes, path: Path, places: dict[Any, int], categories: dict[Any, str]) -> Iterator[Note]:
    """Reads all annotations into columns; notes of those that are not taken as they stand."""
    known = {one: number for number, one in enumerate(categories)}
    for index, entry in enumerate(stream(path, "annotations")):
        if not isinstance(entry, dict):
            raise SourceError(f"{path}: annotations[{index}]: want an object, got {shown(entry)}")
        where = f"{path}: annotation {entry.get('id', f'[{index}]')}"
        image, category = entry.get("image_id"), entry.get("category_id")
        if not is_identity(image) or image not in places:
            yield Note("skipped", where, f"its image_id {typed(image)} is none of the images")
            continue
        if not is_identity(category) or category not in known:
            yield Note("skipped", where, f"its category_id {typed(category)} is none of the categories")
            continue
        crowd = is_flagged(entry.get("iscrowd"), f"{where}: iscrowd")
        ignore = is_flagged(entry.get("ignore"), f"{where}: ignore")
        if entry.get("ignore") is not None and ignore != crowd:
            yield Note("altered", where, f"iscrowd {crowd:d} and ignore {ignore:d} disagree: it is ignored")
        boxes.image.append(places[image])
        boxes.category.append(known[category])
        boxes.ignore.append(crowd or ignore)
        boxes.full.extend(corners(entry.get("bbox"), where))
        visible = entry.get("vis_bbox")
        boxes.visible.extend(NO_BOX if visible is None else corners(visible, f"{where}.vis_bbox"))


def _box(boxes: _Boxes, index: int, names: tuple[str, ...]) -> RawBox:
    full, visible = (_corners(column, index) for column in (boxes.full, boxes.visible))
    label, ignore = names[boxes.category[index]], bool(boxes.ignore[index])
    return RawBox(label, ignore, full, None if math.isnan(visible[0]) else visible)


def _corners(column: array[float], index: int) -> Corners:
    x1, y1, x2, y2 = column[4 * index : 4 * index + 4]
    return x1, y1, x2, y2
