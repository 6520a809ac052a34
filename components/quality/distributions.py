"""How a dataset is made: histograms of people, sizes, occlusion and overlap; and how far two versions lie apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import as_boxes, iou
from components.store.schemas.validated import Histogram

Table = Any
Floats = NDArray[np.float64]
EDGES: dict[str, list[float]] = {
    "people_per_image": [0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 130, 400, math.inf],
    "box_height_px": [0, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, math.inf],
    "box_height_model_px": [0, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, math.inf],
    "visible_frac": [0, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.99, math.inf],
    "largest_iou_with_another": [0, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, math.inf],
    "image_megapixels": [0, 0.01, 0.1, 0.3, 0.6, 1, 2, 4, 8, math.inf],
}
"""Fixed for every dataset and version: only then can two histograms be compared."""
NOTHING = 1e-4


def distributions(scenes: Table, boxes: Table, model_scale: Callable[[int, int], float]) -> dict[str, Histogram]:
    """Name -> edges and counts. `model_scale`: (width, height) -> height of the model's image over the original's."""
    people = boxes[boxes["asked"]]
    known = scenes.dropna(subset=["width_px", "height_px"])
    scale = {row.scene_id: model_scale(int(row.width_px), int(row.height_px)) for row in known.itertuples(index=False)}
    in_model = people["box_height_px"] * people["scene_id"].map(scale).astype(float)  # no people: text otherwise
    values = {
        "people_per_image": scenes["people"],
        "box_height_px": people["box_height_px"],
        "box_height_model_px": in_model,
        "visible_frac": people["visible_frac"],
        "largest_iou_with_another": _largest_ious(people),
        "image_megapixels": known["width_px"] * known["height_px"] / 1e6,
    }
    return {name: _histogram(np.asarray(column, dtype=float), EDGES[name]) for name, column in values.items()}


def _histogram(values: Floats, edges: Sequence[float]) -> Histogram:
    finite = values[np.isfinite(values)]
    counts = np.histogram(finite, bins=[*edges[:-1], max(edges[-2] + 1, float(finite.max(initial=0)) + 1)])[0]
    return {"edges": [edge for edge in edges if math.isfinite(edge)], "counts": counts.tolist()}


def _largest_ious(people: Table) -> list[float]:
    """For each person the IoU with the nearest neighbour in the image; 0 for one who is alone."""
    largest: list[float] = []
    for _, group in people.groupby("scene_id", sort=True):
        corners = group[["x1", "y1", "x2", "y2"]].to_numpy()
        boxes = as_boxes(corners[np.isfinite(corners).all(axis=1)])
        pairs = iou(boxes, boxes)
        np.fill_diagonal(pairs, 0)
        largest += pairs.max(axis=1, initial=0).tolist()
    return largest


def population_stability(before: Histogram, after: Histogram) -> float:
    """PSI of two histograms with the same edges: the sum of (a - b) ln(a / b) over shares.

    Below .1 is called steady, above .25 a shift, by custom. An empty bin counts as one in ten thousand.
    """
    a, b = (np.asarray(one["counts"], dtype=float) for one in (after, before))
    a, b = (np.maximum(one / max(one.sum(), 1), NOTHING) for one in (a, b))
    return float(((a - b) * np.log(a / b)).sum())
