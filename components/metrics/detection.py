"""Precision, recall and F1 of answers without confidences: pooled over images, optimal matching.

An unreadable answer counts as no boxes. Unmatched predictions in ignore regions are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import Boxes
from components.core.matching import candidate_ious, counted_predictions, match_optimal
from components.core.scene import Truth

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a model says about one image: boxes (N, 4) in original pixels, labels, scores (N,)."""

    boxes: Boxes
    labels: tuple[str, ...]
    scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """Matches, counted predictions and people of one image at one IoU."""

    matched: int
    predicted: int
    truth: int
    iou_sum: float


def count_image(detections: Detections, truth: Truth, min_iou: float) -> ImageCounts:
    """One image's part of the pooled numbers."""
    ious = candidate_ious(detections.boxes, detections.labels, truth.boxes, truth.labels)
    matches = match_optimal(ious, min_iou)
    predicted = counted_predictions(detections.boxes, matches, truth.ignore)
    return ImageCounts(len(matches), int(predicted.sum()), len(truth.boxes), float(matches.iou.sum()))


def pooled(counts: Sequence[ImageCounts]) -> dict[str, float | None]:
    """precision, recall, f1 over all images together; None where nothing is there to divide by."""
    matched, predicted, truth = (
        sum(getattr(count, name) for count in counts) for name in ("matched", "predicted", "truth")
    )
    return {
        "precision": matched / predicted if predicted else None,
        "recall": matched / truth if truth else None,
        "f1": f1(matched, predicted, truth),
    }


def f1(matched: int, predicted: int, truth: int) -> float | None:
    """2 TP / (predicted + truth), None where both are empty."""
    return 2 * matched / (predicted + truth) if predicted + truth else None


def f1_by_iou(detections: Sequence[Detections], truths: Sequence[Truth]) -> dict[float, float | None]:
    """Pooled F1 at each IoU from .5 to .95."""
    scores: dict[float, float | None] = {}
    for threshold in IOU_THRESHOLDS:
        pairs = zip(detections, truths, strict=True)
        scores[threshold] = pooled([count_image(one, truth, threshold) for one, truth in pairs])["f1"]
    return scores


def f1_interval(counts: Sequence[ImageCounts], samples: int, seed: int) -> tuple[float, float] | None:
    """95 % bootstrap interval of pooled F1: images are drawn again, then pooled again."""
    table = np.array([[count.matched, count.predicted + count.truth] for count in counts], dtype=np.float64)
    if not samples or not len(table) or not table[:, 1].any():
        return None
    random = np.random.default_rng(seed)
    weights = random.multinomial(len(table), np.full(len(table), 1 / len(table)), size=samples)
    sums = weights @ table  # (samples, 2)
    values = 2 * sums[:, 0] / np.maximum(sums[:, 1], 1)
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
