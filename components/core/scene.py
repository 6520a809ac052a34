"""What an answer is held against: boxes, a count or a text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import Boxes
from components.core.points import Points


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What an answer about one image is held against: boxes clipped to the image, original pixels."""

    boxes: Boxes  # (N, 4)
    labels: tuple[str, ...]  # N
    ignore: Boxes  # (M, 4)
    width_px: int
    height_px: int
    visible_frac: NDArray[np.float32] | None = None  # (N,) in [0, 1]


@dataclass(frozen=True, slots=True, eq=False)
class CountTruth:
    """How many there are and, where the dataset says so, where: points (N, 2), x y in original pixels."""

    count: int
    points: Points | None
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class TextTruth:
    """What is written in the image."""

    text: str


AnyTruth = Truth | CountTruth | TextTruth
