"""Boxes: float32 (N, 4), columns x1 y1 x2 y2, in original-image pixels; N may be 0."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes: TypeAlias = NDArray[np.float32]
Matrix: TypeAlias = NDArray[np.float64]


def as_boxes(values: ArrayLike) -> Boxes:
    """A read-only float32 (N, 4) copy of `values`; [] gives (0, 4).

    Raises ValueError where the shape is not (N, 4) or a number is not finite.
    The order of corners is not checked: raw annotations keep their defects until validation.
    """
    return finite_rows(values, "boxes", ("x1", "y1", "x2", "y2"))


def finite_rows(values: ArrayLike, name: str, columns: tuple[str, ...]) -> NDArray[np.float32]:
    """A read-only float32 copy with so many columns; `name` is what the sentence of a ValueError calls them."""
    rows = np.array(values, dtype=np.float32)
    if rows.size == 0:
        rows = rows.reshape(0, len(columns))
    if rows.ndim != 2 or rows.shape[1] != len(columns):
        raise ValueError(f"{name} have shape {rows.shape}, want (N, {len(columns)}): {' '.join(columns)}")
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} hold a number that is not finite: {rows[~np.isfinite(rows).all(axis=1)][0]}")
    rows.setflags(write=False)
    return rows


def areas(boxes: Boxes) -> Matrix:
    """Area of each box in px², float64 (N,); an inverted box has area 0."""
    sides = np.clip(boxes[:, 2:].astype(np.float64) - boxes[:, :2], 0, None)
    return sides[:, 0] * sides[:, 1]


def intersections(a: Boxes, b: Boxes) -> Matrix:
    """Overlap of every pair in px², float64 (len(a), len(b))."""
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    width, height = (
        np.minimum.outer(a64[:, i + 2], b64[:, i + 2]) - np.maximum.outer(a64[:, i], b64[:, i]) for i in (0, 1)
    )
    return np.multiply(np.maximum(width, 0, out=width), np.maximum(height, 0, out=height), out=width)


def iou(a: Boxes, b: Boxes) -> Matrix:
    """Intersection over union of every pair, float64 (len(a), len(b)), in [0, 1]."""
    overlap = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - overlap
    # two zero-area boxes score 0, not NaN: one NaN would poison the group's advantages
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def ioa(a: Boxes, regions: Boxes) -> Matrix:
    """Intersection over the area of `a`, float64 (len(a), len(regions)), in [0, 1]."""
    overlap = intersections(a, regions)
    own = np.broadcast_to(areas(a)[:, None], overlap.shape)
    return np.divide(overlap, own, out=np.zeros_like(overlap), where=own > 0)


def visible_frac(seen: Matrix, whole: Matrix) -> Matrix:
    """Area of each visible box over its full box's, both (N, 4): float64 (N,), NaN where the full one has no area.

    Boxes as they are annotated: below 0 where one side of a visible box is inverted, above 1 where it is the larger.
    """
    (seen_area, area) = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (seen, whole))
    return np.divide(seen_area, area, out=np.full(len(area), np.nan), where=area != 0)


def clip(boxes: Boxes, width_px: int, height_px: int) -> Boxes:
    """The boxes cut to [0, width] x [0, height]; one that lies outside gets zero area."""
    limits = np.array([width_px, height_px, width_px, height_px], dtype=np.float32)
    return as_boxes(np.clip(boxes, 0, limits))
