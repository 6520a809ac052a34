"""Confidences for answers that give none, and how far each can be believed.

constant: 1 for all. rank: 1 / place in the answer. logprob: exp of the mean log-probability of the box's tokens
(core.completion.span_confidence). consensus: share of K sampled answers that hold the box.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from components.core.boxes import Boxes
from components.core.matching import candidate_ious, match_optimal
from components.metrics.evaluation_set import Flags, Floats

BINS = 10
Bin = dict[str, float | int | None]


def rank(count: int) -> Floats:
    """(N,): 1, 1/2, 1/3, ... in the order of generation."""
    return 1 / np.arange(1, count + 1)


def consensus(
    boxes: Boxes, labels: Sequence[str], others: Sequence[tuple[Boxes, Sequence[str]]], min_iou: float
) -> Floats:
    """(N,): share of the other answers that hold each box, one-to-one at IoU >= min_iou. Raises without others."""
    if not others:
        raise ValueError("consensus needs at least one sampled answer")
    held = np.zeros(len(boxes))
    for other, words in others:
        held[match_optimal(candidate_ious(boxes, labels, other, words), min_iou).predicted] += 1
    return held / len(others)


def reliability(scores: Floats, right: Flags) -> list[Bin]:
    """Ten bins of equal width: from, boxes, mean confidence, share of right boxes. Empty bins are left out."""
    places = np.minimum((scores * BINS).astype(int), BINS - 1)
    bins: list[Bin] = []
    for place in range(BINS):
        inside = places == place
        if inside.any():
            shares = float(scores[inside].mean()), float(right[inside].mean())
            bins.append(
                {"from": place / BINS, "boxes": int(inside.sum()), "confidence": shares[0], "precision": shares[1]}
            )
    return bins


def calibration_error(scores: Floats, right: Flags) -> float | None:
    """Expected calibration error: mean over boxes of |confidence - precision| of their bin; None without boxes."""
    if not len(scores):
        return None
    bins = reliability(scores, right)
    gaps = [int(one["boxes"] or 0) * abs(float(one["confidence"] or 0) - float(one["precision"] or 0)) for one in bins]
    return sum(gaps) / len(scores)
