"""UAVDT: GT/<sequence>_gt_whole.txt, and UAV-benchmark-M/<sequence>/img000001.jpg.

A row is frame,target,x,y,w,h,out_of_view,occlusion,category (1 car, 2 truck, 3 bus). <sequence>_gt_ignore.txt has
the same first six columns; it may be missing or empty. A sequence is one annotation file, so it never crosses splits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from components.errors import SourceError
from components.sources.source import (
    DEFAULTS,
    Note,
    RawBox,
    RawScene,
    ReadOptions,
    by_number,
    corners,
    numbers,
    text_lines,
)

CATEGORIES = {1: "car", 2: "truck", 3: "bus"}
WHOLE = "_gt_whole.txt"
Row = tuple[int, list[float], str]


def read(root: Path, annotations: Path, options: ReadOptions = DEFAULTS) -> Iterator[RawScene | Note]:
    """Every frame of one sequence, also those without objects. Raises SourceError that names file and line."""
    sequence = annotations.name.removesuffix(WHOLE)
    if sequence == annotations.name:
        raise SourceError(f"{annotations}: want a file <sequence>{WHOLE}")
    folder = Path(options.images or "UAV-benchmark-M") / sequence
    pictures = {path.stem: path.name for path in (root / folder).glob("img*.jpg")}
    if not pictures:
        raise SourceError(f"{root / folder}: no img*.jpg lies there, but {annotations.name} annotates it")
    boxes: dict[str, list[RawBox]] = defaultdict(list)
    for frame, values, where in _rows(annotations, 9):
        label = by_number(CATEGORIES, values[8], "category")
        boxes[f"img{frame:06d}"].append(RawBox(label, False, corners(values[2:6], where)))
    ignored = annotations.with_name(f"{sequence}_gt_ignore.txt")
    for frame, values, where in _rows(ignored, 6) if ignored.exists() else ():
        boxes[f"img{frame:06d}"].append(RawBox("ignore", True, corners(values[2:6], where)))
    for name in sorted(pictures.keys() | boxes.keys()):
        image = (folder / pictures.get(name, f"{name}.jpg")).as_posix()
        yield RawScene(f"{sequence}/{name}", image, tuple(boxes.get(name, ())), f"{annotations}#{name}")


def _rows(path: Path, least: int) -> Iterator[Row]:
    """Frame number and the row's numbers."""
    for number, line in text_lines(path):
        where = f"{path}:{number}"
        values = numbers(line.split(","), where)
        if len(values) < least:
            raise SourceError(f"{where}: {len(values)} columns, want {least}: frame,target,x,y,w,h,...")
        if not all(abs(value) < 1e9 for value in values) or values[0] != int(values[0]) or values[0] < 0:
            raise SourceError(f"{where}: got {line[:60]!r}, want a frame number first and finite numbers")
        yield int(values[0]), values, where
