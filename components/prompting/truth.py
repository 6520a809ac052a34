"""The rows of one scene's boxes -> what an answer about it is held against."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import areas, as_boxes, clip, visible_frac
from components.core.class_words import IGNORE, OTHER, ClassWords
from components.core.scene import Truth
from components.params.datasets import DatasetParams

Row = dict[str, Any]
CORNERS = ("x1", "y1", "x2", "y2")
PREFIX = {"full": "", "visible": "visible_", "head": "head_"}


def truth_of(boxes: list[Row], width_px: int, height_px: int, dataset: DatasetParams) -> Truth:
    """The boxes to be found and those to be ignored, clipped to the image; visible share of each person.

    The dataset's entry says which box of a person counts and how its words map to labels. A person without the
    box that counts, or whose box has no area in the image, becomes an ignore region: he is there, but nobody can say
    where he ends.
    """
    words = ClassWords.of(dataset.classes, dataset.labels or [])
    labels = [words.label(box["label"], box["ignore"]) for box in boxes]
    full = clip(as_boxes([[box[key] for key in CORNERS] for box in boxes]), width_px, height_px)
    wanted = [_corners(box, PREFIX[dataset.box]) or [0.0] * 4 for box in boxes]
    chosen = clip(as_boxes(wanted), width_px, height_px)
    lacking = areas(chosen) <= 0
    chosen = as_boxes(np.where(lacking[:, None], full, chosen))
    inside = areas(chosen) > 0
    asked = np.array([label != OTHER for label in labels], dtype=bool)
    ignored = np.array([label == IGNORE for label in labels], dtype=bool) | lacking
    people = np.flatnonzero(inside & asked & ~ignored)
    return Truth(
        boxes=as_boxes(chosen[people]),
        labels=tuple(labels[i] for i in people),
        ignore=as_boxes(chosen[inside & asked & ignored]),
        width_px=width_px,
        height_px=height_px,
        visible_frac=_visible_share([boxes[i] for i in people]),
    )


def _corners(box: Row, prefix: str) -> list[float] | None:
    values = [box[f"{prefix}{key}"] for key in CORNERS]
    return None if values[0] is None else values


def _visible_share(boxes: list[Row]) -> NDArray[np.float32]:
    """(N,) in [0, 1]: how much of each full box can be seen; 1 where the dataset does not say."""
    full = [[box[key] for key in CORNERS] for box in boxes]
    seen = [_corners(box, "visible_") or own for box, own in zip(boxes, full, strict=True)]
    whole = as_boxes(full).astype(float)
    inside = np.clip(as_boxes(seen).astype(float), np.tile(whole[:, :2], 2), np.tile(whole[:, 2:], 2))
    return np.nan_to_num(visible_frac(inside, whole), nan=0.0).astype(np.float32)
