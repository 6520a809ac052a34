"""Points: float32 (N, 2), columns x y, in original-image pixels; N may be 0."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from components.core.boxes import Boxes, finite_rows

Points: TypeAlias = NDArray[np.float32]


def as_points(values: ArrayLike) -> Points:
    """A read-only float32 (N, 2) copy of `values`; [] gives (0, 2).

    Raises ValueError where the shape is not (N, 2) or a number is not finite.
    """
    return finite_rows(values, "points", ("x", "y"))


def centres(boxes: Boxes) -> Points:
    """The middle of each box, (N, 2)."""
    return as_points((boxes[:, :2].astype(np.float64) + boxes[:, 2:]) / 2)


def distances(a: Points, b: Points) -> NDArray[np.float64]:
    """Pixels between every pair, float64 (len(a), len(b))."""
    return np.hypot(*(np.subtract.outer(a[:, axis].astype(np.float64), b[:, axis]) for axis in (0, 1)))
