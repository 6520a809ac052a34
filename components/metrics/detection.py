"""Precision, recall and F1 of answers without confidences: pooled over images, optimal matching.

An unreadable answer counts as no boxes. Unmatched predictions in ignore regions are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import Boxes
from components.core.matching import candidate_ious, counted_predictions, match_optimal
from components.core.scene import Truth

Values: TypeAlias = NDArray[np.float64]
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
    values = _drawn_f1([counts], samples, seed)[0]
    return None if values is None else _percentiles(values)


def f1_gain_interval(
    before: Sequence[Sequence[ImageCounts]], after: Sequence[Sequence[ImageCounts]], samples: int, seed: int
) -> tuple[float, float] | None:
    """95 % paired bootstrap interval of the mean of F1(after) - F1(before) over training seeds.

    before, after: for each seed the counts of the same images in the same order; images are drawn again
    once for all. Narrower than two single intervals suggest, since hard images are hard for both. The
    seeds are not drawn again: three are too few for that. Raises ValueError where the numbers differ.
    """
    sizes = {len(counts) for counts in [*before, *after]}
    if len(before) != len(after) or len(sizes) > 1:
        raise ValueError(
            f"{len(before)} seeds before, {len(after)} after, with {sorted(sizes)} images: want the same images of the "
            "same seeds in the same order"
        )
    drawn_before, drawn_after = _drawn_f1(before, samples, seed), _drawn_f1(after, samples, seed)
    gains = [a - b for a, b in zip(drawn_after, drawn_before, strict=True) if a is not None and b is not None]
    return _percentiles(np.stack(gains).mean(axis=0)) if gains and len(gains) == len(before) else None


def _drawn_f1(models: Sequence[Sequence[ImageCounts]], samples: int, seed: int) -> list[Values | None]:
    """(samples,) pooled F1 of each model, on the same drawings of images; None where undefined."""
    images = len(models[0]) if models else 0
    if not samples or not images:
        return [None] * len(models)
    weights = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=samples)
    drawn: list[Values | None] = []
    for counts in models:
        table = np.array([[count.matched, count.predicted + count.truth] for count in counts], dtype=np.float64)
        sums = weights @ table  # (samples, 2)
        drawn.append(2 * sums[:, 0] / np.maximum(sums[:, 1], 1) if table[:, 1].any() else None)
    return drawn


def _percentiles(values: Values) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
