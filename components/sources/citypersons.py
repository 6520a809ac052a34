"""CityPersons, in both of its forms: anno_<split>.mat, or gtBboxCityPersons/<split>/<city>/*.json.

Images lie in leftImg8bit/<split>/<city>/. A row of the .mat is class x y w h instance xv yv wv hv (visible
box last); its number type differs from image to image, so it is widened before anything is multiplied.
Ignore regions (class 0) and groups (class 5) are to be ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.core.class_words import plain_word
from components.errors import SourceError
from components.sources.plain_json import shallow_json
from components.sources.source import DEFAULTS, Note, RawBox, RawScene, ReadOptions, by_number, corners, image_inside

CLASSES = dict(enumerate(("ignore", "pedestrian", "rider", "sitting person", "person (other)", "person group")))
IGNORED = {"ignore", "person group"}
IMAGES = "leftImg8bit"
SUFFIX = "_gtBboxCityPersons.json"


def read(root: Path, annotations: Path, options: ReadOptions = DEFAULTS) -> Iterator[RawScene | Note]:
    """The images of one split, from a .mat file or a folder of JSON files. Raises SourceError that names the place."""
    images = options.images or IMAGES
    yield from _from_folder(annotations, images) if annotations.is_dir() else _from_mat(annotations, images)


def _from_mat(path: Path, images: str) -> Iterator[RawScene]:
    from components.sources.mat import read_cells

    split = path.stem.removeprefix("anno_")
    for index, cell in enumerate(read_cells(path, f"anno_{split}_aligned")):
        where = f"{path}: cell {index}"
        if isinstance(cell, str):
            raise SourceError(f"{where}: {cell}")
        city, name, rows = cell
        boxes = tuple(_box(row, f"{where} row {number}") for number, row in enumerate(rows))
        image = image_inside(f"{images}/{split}", f"{city}/{name}", where)
        yield RawScene(Path(name).stem.removesuffix("_leftImg8bit"), image, boxes, where)


def _box(row: Any, where: str) -> RawBox:
    values = row.tolist()
    label = by_number(CLASSES, values[0])  # validation names an unknown class
    return RawBox(label, label in IGNORED, corners(values[1:5], where), corners(values[6:10], f"{where} visible"))


def _from_folder(folder: Path, images: str) -> Iterator[RawScene]:
    files = sorted(folder.glob(f"*/*{SUFFIX}"))
    if not files:
        raise SourceError(f"{folder}: no <city>/*{SUFFIX} lies there; is this gtBboxCityPersons/<split>?")
    for path in files:
        name = path.name.removesuffix(SUFFIX)
        content = _json(path)
        boxes = tuple(_object(one, f"{path}: objects[{index}]") for index, one in enumerate(content["objects"]))
        image = f"{images}/{folder.name}/{path.parent.name}/{name}_leftImg8bit.png"
        yield RawScene(name, image, boxes, str(path), (content["imgWidth"], content["imgHeight"]))


def _json(path: Path) -> dict[str, Any]:
    content = shallow_json(path.read_bytes(), str(path))
    sizes = [content.get(key) for key in ("imgWidth", "imgHeight")] if isinstance(content, dict) else [None]
    if not all(type(size) is int and 0 < size < 10**6 for size in sizes) or not isinstance(
        content.get("objects"), list
    ):
        raise SourceError(f"{path}: want an object with imgHeight, imgWidth (pixels) and objects (list)")
    return content


def _object(entry: Any, where: str) -> RawBox:
    if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
        raise SourceError(f"{where}: want an object with label, bbox and bboxVis, got {str(entry)[:60]}")
    visible = corners(entry["bboxVis"], f"{where}.bboxVis") if entry.get("bboxVis") is not None else None
    label = entry["label"]
    return RawBox(label, plain_word(label) in IGNORED, corners(entry.get("bbox"), f"{where}.bbox"), visible)
