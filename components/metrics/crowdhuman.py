"""CrowdHuman's AP, MR^-2 and JI, as the dataset's own evaluation computes them (arXiv:1805.00123, arXiv:2003.09163).

Boxes are clipped; IoU must exceed one half; a prediction that finds nobody but lies in an ignore region is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from components.metrics.curves import CALTECH_FPPI, log_average_miss
from components.metrics.evaluation_set import EvaluationSet, Flags, Floats, Indices
from components.metrics.pairs import Pairs, covered, ious, match_best, match_by_rank, overlapping, ranks

MIN_IOU = 0.5
IGNORE_IOA = 0.5
SCORE_STEPS = 10


def crowdhuman_metrics(data: EvaluationSet) -> dict[str, float | None]:
    """AP, MR (the log-average miss rate, less is better) and JI; None without anybody to find."""
    return resampled(data)(data.once)


def resampled(data: EvaluationSet) -> Callable[[Indices], dict[str, float | None]]:
    """The numbers of images drawn so often (I,): matched once, put together anew for each drawing."""
    view = _View(data)

    def numbers(drawn: Indices) -> dict[str, float | None]:
        if not drawn[view.truth_image].any():
            return {"AP": None, "MR": None, "JI": None}
        recall, precision, per_image = _curve(view, drawn)
        return {
            # the points alone, without a start at recall 0: N of N found in order give (N - 1) / N
            "AP": float(np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2)),
            "MR": log_average_miss(recall, _first_at_least(per_image, CALTECH_FPPI)) if len(recall) else 1.0,
            "JI": max(_mean_jaccard(*counts, drawn) for counts in view.jaccard),
        }

    return numbers


class _View:
    """Clipped boxes with what the three numbers share: candidate pairs and what lies in ignore regions.

    right, right_image: whether each counted prediction found somebody, best score first, and its image.
    jaccard: at each score threshold (k, m, n) of each image.
    """

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
        rank = ranks(found.image, found.score, found.order)
        matched = match_by_rank(self.pairs.a, self.pairs.b, self.ious, rank, len(self.people)) >= 0
        counted = np.flatnonzero(matched | ~self.in_ignore)
        by_score = counted[np.lexsort((found.order[counted], -found.score[counted]))]
        self.right, self.right_image = matched[by_score], found.image[by_score]
        self.jaccard = _jaccard(self)


def _clipped(boxes: Floats, size: Floats) -> Floats:
    """x1, y1 to [0, side - 1], x2, y2 to [0, side]."""
    return np.concatenate([np.clip(boxes[:, :2], 0, size - 1), np.clip(boxes[:, 2:], 0, size)], axis=1)


def _curve(view: _View, drawn: Indices) -> tuple[Floats, Floats, Floats]:
    """recall, precision and false positives per image after each counted prediction, best score first.

    A box stands beside its copies where its image was drawn several times.
    """
    right = np.cumsum(np.repeat(view.right, drawn[view.right_image]))
    wrong = np.arange(1, len(right) + 1) - right
    return right / drawn[view.truth_image].sum(), right / np.maximum(right + wrong, 1), wrong / drawn.sum()


def _first_at_least(values: Floats, references: Floats) -> Indices:
    """For each reference the first place with a value of at least it, else the last place."""
    return np.minimum(np.searchsorted(values, references, "left"), len(values) - 1)


Counts: TypeAlias = tuple[Indices, Indices, Indices]


def _jaccard(view: _View) -> list[Counts]:
    """Pairs, people and predictions of each image at score thresholds 0, .1, ... .9, of which the best counts."""
    scores = view.data.found.score
    kept = [scores > step / SCORE_STEPS for step in range(SCORE_STEPS)]
    nested = {int(flags.sum()): flags for flags in kept}  # the same number is the same set
    return [_counts(view, flags) for flags in nested.values()]


def _counts(view: _View, kept: Flags) -> Counts:
    places = np.flatnonzero(kept[view.pairs.a])
    a, b = view.pairs.a[places], view.pairs.b[places]
    chosen = match_best(a, b, view.ious[places], (len(kept), len(view.people)))
    found, person = np.zeros(len(kept), dtype=bool), np.zeros(len(view.people), dtype=bool)
    found[a[chosen]], person[b[chosen]] = True, True
    images = view.data.images
    k = np.bincount(view.found_image[found], minlength=images)
    n = np.bincount(view.found_image[found | (kept & ~view.in_ignore)], minlength=images)
    m = np.bincount(view.truth_image[person | ~view.truth_in_ignore], minlength=images)
    return k, m, n


def _mean_jaccard(k: Indices, m: Indices, n: Indices, drawn: Indices) -> float:
    """The mean over images with anybody, or any prediction, of k / (m + n - k)."""
    some = (m + n) > 0
    shares = np.repeat(k[some] / (m + n - k)[some], drawn[some])
    return float(shares.mean()) if len(shares) else 0.0
