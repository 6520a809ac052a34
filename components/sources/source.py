"""What every reader gives: raw scenes, one by one, with the place in the annotations that each came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Corners = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class RawBox:
    """One annotated box, x1 y1 x2 y2 in original pixels, exactly as the dataset has it."""

    label: str
    ignore: bool
    full: Corners
    visible: Corners | None
    head: Corners | None


@dataclass(frozen=True, slots=True)
class RawScene:
    """One annotated image; `image_path` is relative to the dataset's root and stays inside it."""

    scene_id: str
    image_path: str
    boxes: tuple[RawBox, ...]
    annotation: str  # file:line


Source = Callable[[Path, Path], Iterator[RawScene]]
"""(root, annotation file) -> scenes. Raises SourceError with file and line."""
