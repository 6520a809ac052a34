"""Whether the one box that was said is the one that the sentence refers to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from components.core.boxes import iou
from components.core.completion import Answer
from components.core.grammars import AnyParsed
from components.core.points import centres
from components.core.scene import AnyTruth, Truth
from components.metrics.task import Table, TaskNumbers, of_one

THRESHOLDS = {"accuracy_30": 0.3, "accuracy_50": 0.5, "accuracy_75": 0.75, "accuracy_95": 0.95}
LEVELS = np.round(np.arange(0.05, 1.0, 0.05), 2)


def grounding_numbers(answers: Sequence[AnyParsed], truths: Sequence[AnyTruth]) -> TaskNumbers:
    """accuracy at IoU >= .3, .5, .75, .95, mean_iou, centre (the box's centre lies in the true one), by sentence.

    An unreadable answer overlaps nothing. None without samples.
    """
    pairs = [_overlap(answer, truth) for answer, truth in zip(answers, truths, strict=True) if isinstance(truth, Truth)]
    if not pairs:
        return TaskNumbers(dict.fromkeys((*THRESHOLDS, "mean_iou", "centre")), [])
    overlap, centre = (np.array(column) for column in zip(*pairs, strict=True))
    table = {name: float((overlap >= least).mean()) for name, least in THRESHOLDS.items()}
    table |= {"mean_iou": float(overlap.mean()), "centre": float(centre.mean())}
    return TaskNumbers(dict(table), [of_one(bool(value >= 0.5), float(value)) for value in overlap])


def accuracy_by_iou(answers: Sequence[AnyParsed], truths: Sequence[AnyTruth]) -> Table:
    """iou, accuracy: the share of sentences whose box overlaps the true one by so much or more."""
    pairs = zip(answers, truths, strict=True)
    overlap = np.array([_overlap(answer, truth)[0] for answer, truth in pairs if isinstance(truth, Truth)])
    if not len(overlap):
        return []
    return [{"iou": float(least), "accuracy": float((overlap >= least).mean())} for least in LEVELS]


def _overlap(answer: AnyParsed, truth: Truth) -> tuple[float, bool]:
    if not isinstance(answer, Answer) or len(answer.boxes) != 1:
        return 0.0, False
    x, y = centres(answer.boxes)[0].tolist()
    x1, y1, x2, y2 = truth.boxes[0].tolist()
    return float(iou(answer.boxes, truth.boxes)[0, 0]), x1 <= x <= x2 and y1 <= y <= y2
