"""At which confidence a detector is best: F1 counts every box, also those that nobody would believe."""

from __future__ import annotations

import numpy as np

from components.metrics.detection import Matcher, f1
from components.metrics.evaluation_set import EvaluationSet
from components.metrics.pairs import match_best

MOST_TRIED = 50


def best_threshold(data: EvaluationSet, min_iou: float = 0.5) -> dict[str, float] | None:
    """threshold, f1, precision, recall of the boxes at or above it, and how many thresholds were tried.

    At most 50 of the scores that stand there, evenly by rank; the lowest of equals. None where all scores are equal or
    there is nobody to find.
    """
    score = data.found.score
    scores = np.unique(score)
    matcher = Matcher(data)
    people = int(matcher.person.sum())
    if len(scores) < 2 or not people:
        return None
    tried = scores[np.unique(np.linspace(0, len(scores) - 1, MOST_TRIED).round().astype(int))]
    found = [(threshold, *_counts(matcher, score >= threshold, min_iou)) for threshold in tried.tolist()]
    threshold, matched, boxes = max(found, key=lambda one: f1(one[1], one[2], people) or 0.0)
    return {
        "threshold": threshold,
        "f1": f1(matched, boxes, people) or 0.0,
        "precision": matched / boxes if boxes else 0.0,
        "recall": matched / people,
        "tried": len(tried),
    }


def _counts(matcher: Matcher, kept: np.ndarray, min_iou: float) -> tuple[int, int]:
    """Matched and counted boxes among those that are kept."""
    places = np.flatnonzero((matcher.ious >= min_iou) & kept[matcher.a])
    sizes = len(kept), len(matcher.person)
    matched = places[match_best(matcher.a[places], matcher.b[places], matcher.ious[places], sizes)]
    hit = np.zeros(len(kept), dtype=bool)
    hit[matcher.a[matched]] = True
    return len(matched), int((kept & (hit | ~matcher.in_ignore)).sum())
