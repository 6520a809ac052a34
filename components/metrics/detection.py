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
    return _interval([counts], samples, seed)


def f1_gain_interval(
    before: Sequence[ImageCounts], after: Sequence[ImageCounts], samples: int, seed: int
) -> tuple[float, float] | None:
    """95 % paired bootstrap interval of F1(after) - F1(before): both models on the same images, drawn together.

    Narrower than two single intervals suggest, since hard images are hard for both. It says nothing
    about another seed of the training. Raises ValueError where the numbers of images differ.
    """
    if len(before) != len(after):
        raise ValueError(f"{len(before)} images before, {len(after)} after: want the same images in the same order")
    return _interval([before, after], samples, seed)


def _interval(models: Sequence[Sequence[ImageCounts]], samples: int, seed: int) -> tuple[float, float] | None:
    """Percentiles 2.5 and 97.5 of F1 of one model, or of the second's less the first's; None where undefined."""
    tables = [
        np.array([[count.matched, count.predicted + count.truth] for count in counts], dtype=np.float64)
        for counts in models
    ]
    images = len(tables[0])
    if not samples or not images or not all(table[:, 1].any() for table in tables):
        return None
    weights = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=samples)
    sums = [weights @ table for table in tables]  # (samples, 2) each
    values = [2 * pooled[:, 0] / np.maximum(pooled[:, 1], 1) for pooled in sums]
    low, high = np.percentile(values[-1] - values[0] if len(values) > 1 else values[0], [2.5, 97.5])
    return float(low), float(high)
