"""WIDER Pedestrian: <split>_annotations.txt, a line an image: name, then class x y w h again and again.

Class 1 is a pedestrian, 2 a cyclist; a bare name is an image without people. Ignore regions stand in
pedestrian_ignore_part_<split>.txt beside it: name, then x y w h again and again. Rows without a class are read
only where `rows_without_class` says so: 20 numbers could be either.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from components.errors import SourceError
from components.sources.source import (
    DEFAULTS,
    Corners,
    Note,
    OnceOnly,
    RawBox,
    RawScene,
    ReadOptions,
    by_number,
    corners,
    image_inside,
    numbers,
    text_lines,
)

CLASSES = {1: "pedestrian", 2: "cyclist"}
NO_CLASS = "if the rows have no class, rows_without_class: true in the dataset's entry reads them"
Row = tuple[str, list[float], str]


def read(root: Path, annotations: Path, options: ReadOptions = DEFAULTS) -> Iterator[RawScene | Note]:
    """The images of one file, in its order. Raises SourceError that names file and line."""
    del root
    regions = {name: (boxes, where) for name, boxes, where in _ignore_regions(annotations)}
    size = 4 if options.rows_without_class else 5
    hinted = False
    for name, values, where in _rows(annotations):
        strange = None if hinted or options.rows_without_class else _class_that_is_none(values)
        if strange is not None:
            hinted = True
            yield Note("flagged", where, f"class {strange:g} is neither 1 (pedestrian) nor 2 (cyclist): {NO_CLASS}")
        boxes = [
            _box(row, options.rows_without_class, f"{where} box {i}")
            for i, row in enumerate(_tuples(values, size, where))
        ]
        ignored, _ = regions.pop(name, ([], ""))
        boxes += [RawBox("ignore", True, region) for region in ignored]
        yield RawScene(name, image_inside(options.images or "Images", name, where), tuple(boxes), where)
    for name, (ignored, where) in regions.items():
        yield Note(
            "skipped", where, f"{len(ignored)} ignore regions of {name!r}, which {annotations.name} does not have"
        )


def _ignore_regions(annotations: Path) -> Iterator[tuple[str, list[Corners], str]]:
    split = annotations.stem.removesuffix("_annotations")
    path = annotations.with_name(f"pedestrian_ignore_part_{split}.txt")
    if not path.exists():
        return
    once = OnceOnly()
    for name, values, where in _rows(path):
        once.add(name, where)
        yield name, [corners(row, where) for row in _tuples(values, 4, where)], where


def _rows(path: Path) -> Iterator[Row]:
    for number, line in text_lines(path):
        where = f"{path}:{number}"
        name, *rest = line.split()
        yield name, numbers(rest, where), where


def _tuples(values: list[float], size: int, where: str) -> list[list[float]]:
    if len(values) % size:
        want = "class x y w h" if size == 5 else "x y w h"
        raise SourceError(f"{where}: {len(values)} numbers, want a multiple of {size} ({want} again and again)")
    return _groups(values, size)


def _groups(values: list[float], size: int) -> list[list[float]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _class_that_is_none(values: list[float]) -> float | None:
    """The first class that is none, of a row that would be whole without classes too."""
    strange = [row[0] for row in _groups(values, 5) if row[0] not in CLASSES]
    return strange[0] if strange and len(values) % 4 == 0 else None


def _box(row: list[float], without_class: bool, where: str) -> RawBox:
    if without_class:
        return RawBox(CLASSES[1], False, corners(row, where))
    return RawBox(by_number(CLASSES, row[0]), False, corners(row[1:], where))
