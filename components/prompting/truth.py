"""The rows of one scene's boxes -> what an answer about it is held against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import areas, as_boxes, clip, visible_frac
from components.core.class_words import IGNORE, OTHER, ClassWords
from components.core.scene import Truth
from components.params.datasets import DatasetParams
from components.store.schemas.ingested import BoxRow

CORNERS = ("x1", "y1", "x2", "y2")


def truth_of(boxes: list[BoxRow], width_px: int, height_px: int, dataset: DatasetParams) -> Truth:
    """The boxes to be found and those to be ignored, clipped to the image; visible share of each person.

    The dataset's entry says which box of a person counts and how its words map to labels. A person without the
    box that counts, or whose box has no area in the image, becomes an ignore region: he is there, but nobody can say
    where he ends.
    """
    words = ClassWords.of(dataset.classes, dataset.labels or [])
    labels = [words.label(box["label"], box["ignore"]) for box in boxes]
    full = clip(as_boxes([[box[key] for key in CORNERS] for box in boxes]), width_px, height_px)
    wanted = [_corners(box, dataset.box) or [0.0] * 4 for box in boxes]
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


def _corners(box: BoxRow, which: str) -> list[float] | None:
    """The person's full, visible or head box; None where the dataset has none."""
    if which == "full":
        return [box[key] for key in CORNERS]
    if which == "head":
        values = (box["head_x1"], box["head_y1"], box["head_x2"], box["head_y2"])
    else:
        values = (box["visible_x1"], box["visible_y1"], box["visible_x2"], box["visible_y2"])
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else None


def _visible_share(boxes: list[BoxRow]) -> NDArray[np.float32]:
    """(N,) in [0, 1]: how much of each full box can be seen; 1 where the dataset does not say."""
    full = [[box[key] for key in CORNERS] for box in boxes]
    seen = [_corners(box, "visible") or own for box, own in zip(boxes, full, strict=True)]
    whole = as_boxes(full).astype(float)
    inside = np.clip(as_boxes(seen).astype(float), np.tile(whole[:, :2], 2), np.tile(whole[:, 2:], 2))
    return np.nan_to_num(visible_frac(inside, whole), nan=0.0).astype(np.float32)
