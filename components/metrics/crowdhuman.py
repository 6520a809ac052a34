"""CrowdHuman's AP, MR^-2 and JI, as the dataset's own evaluation computes them (arXiv:1805.00123, arXiv:2003.09163).

Boxes are clipped; IoU must exceed one half; a prediction that finds nobody but lies in an ignore region is dropped.
"""

from __future__ import annotations

import numpy as np

from components.metrics.curves import CALTECH_FPPI, log_average_miss
from components.metrics.evaluation_set import EvaluationSet, Flags, Floats, Indices
from components.metrics.pairs import Pairs, covered, ious, match_best, match_by_rank, overlapping, ranks

MIN_IOU = 0.5
IGNORE_IOA = 0.5
SCORE_STEPS = 10


def crowdhuman_metrics(data: EvaluationSet) -> dict[str, float | None]:
    """AP, MR (the log-average miss rate, less is better) and JI; None without anybody to find."""
    people = ~data.truth.ignore
    if not people.any():
        return {"AP": None, "MR": None, "JI": None}
    view = _View(data)
    recall, precision, per_image = _curve(view)
    return {
        # the points alone, without a start at recall 0: N of N found in order give (N - 1) / N
        "AP": float(np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2)),
        "MR": log_average_miss(recall, _first_at_least(per_image, CALTECH_FPPI)) if len(recall) else 1.0,
        "JI": _jaccard(view),
    }


class _View:
    """Clipped boxes with what the three numbers share: candidate pairs and what lies in ignore regions."""

    def __init__(self, data: EvaluationSet) -> None:
        self.data = data
        truth, found = data.truth, data.found
        self.people = np.flatnonzero(~truth.ignore)
        self.regions = np.flatnonzero(truth.ignore)
        clipped = _clipped(truth.xyxy, data.size_px[truth.image])
        self.truth, self.truth_image = clipped[self.people], truth.image[self.people]
        self.found, self.found_image = _clipped(found.xyxy, data.size_px[found.image]), found.image
        ignore, ignore_image = clipped[self.regions], truth.image[self.regions]
        pairs = overlapping(self.found, self.found_image, self.truth, self.truth_image)
        values = ious(pairs, self.found, self.truth)
        close = (values > MIN_IOU) & (found.label[pairs.a] == truth.label[self.people][pairs.b])
        self.pairs = Pairs(pairs.a[close], pairs.b[close], pairs.overlap[close])
        self.ious = values[close]
        self.in_ignore = covered(self.found, self.found_image, ignore, ignore_image, IGNORE_IOA)
        self.truth_in_ignore = covered(self.truth, self.truth_image, ignore, ignore_image, IGNORE_IOA)


def _clipped(boxes: Floats, size: Floats) -> Floats:
    """x1, y1 to [0, side - 1], x2, y2 to [0, side]."""
    return np.concatenate([np.clip(boxes[:, :2], 0, size - 1), np.clip(boxes[:, 2:], 0, size)], axis=1)


def _curve(view: _View) -> tuple[Floats, Floats, Floats]:
    """recall, precision and false positives per image after each counted prediction, best score first."""
    found = view.data.found
    rank = ranks(found.image, found.score, found.order)
    matched = match_by_rank(view.pairs.a, view.pairs.b, view.ious, rank, len(view.people)) >= 0
    counted = np.flatnonzero(matched | ~view.in_ignore)
    by_score = counted[np.lexsort((found.order[counted], -found.score[counted]))]
    right = np.cumsum(matched[by_score])
    wrong = np.arange(1, len(by_score) + 1) - right
    return right / len(view.people), right / np.maximum(right + wrong, 1), wrong / view.data.images


def _first_at_least(values: Floats, references: Floats) -> Indices:
    """For each reference the first place with a value of at least it, else the last place."""
    return np.minimum(np.searchsorted(values, references, "left"), len(values) - 1)


def _jaccard(view: _View) -> float:
    """The best over score thresholds 0, .1, ... .9 of the mean over images of k / (m + n - k)."""
    best, known = 0.0, dict[int, float]()
    for step in range(SCORE_STEPS):
        kept = view.data.found.score > step / SCORE_STEPS
        count = int(kept.sum())  # thresholds are nested: the same number is the same set
        if count not in known:
            known[count] = _mean_jaccard(view, kept)
        best = max(best, known[count])
    return best


def _mean_jaccard(view: _View, kept: Flags) -> float:
    places = np.flatnonzero(kept[view.pairs.a])
    a, b = view.pairs.a[places], view.pairs.b[places]
    chosen = match_best(a, b, view.ious[places], (len(kept), len(view.people)))
    found, person = np.zeros(len(kept), dtype=bool), np.zeros(len(view.people), dtype=bool)
    found[a[chosen]], person[b[chosen]] = True, True
    images = view.data.images
    k = np.bincount(view.found_image[found], minlength=images)
    n = np.bincount(view.found_image[found | (kept & ~view.in_ignore)], minlength=images)
    m = np.bincount(view.truth_image[person | ~view.truth_in_ignore], minlength=images)
    some = (m + n) > 0
    return float((k[some] / (m + n - k)[some]).mean()) if some.any() else 0.0
