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
    return CrowdView(data).resampled(data.found.score)


class CrowdView:
    """Clipped boxes with what no score decides: candidate pairs and what lies in ignore regions."""

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

    def metrics(self, score: Floats) -> dict[str, float | None]:
        """crowdhuman_metrics of the same boxes under these scores (D,)."""
        return self.resampled(score)(self.data.once)

    def resampled(self, score: Floats) -> Callable[[Indices], dict[str, float | None]]:
        """`resampled` of the same boxes under these scores (D,)."""
        right, right_image = _by_score(self, score)
        jaccard = _jaccard(self, score)

        def numbers(drawn: Indices) -> dict[str, float | None]:
            people = drawn[self.truth_image].sum()
            if not people:
                return {"AP": None, "MR": None, "JI": None}
            found = np.cumsum(np.repeat(right, drawn[right_image]))  # a box beside its copies, of an image drawn twice
            wrong = np.arange(1, len(found) + 1) - found
            recall, precision = found / people, found / np.maximum(found + wrong, 1)
            places = _first_at_least(wrong / drawn.sum(), CALTECH_FPPI)
            return {
                # the points alone, without a start at recall 0: N of N found in order give (N - 1) / N
                "AP": float(np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2)),
                "MR": log_average_miss(recall, places) if len(recall) else 1.0,
                "JI": max(_mean_jaccard(*counts, drawn) for counts in jaccard),
            }

        return numbers


def _clipped(boxes: Floats, size: Floats) -> Floats:
    """x1, y1 to [0, side - 1], x2, y2 to [0, side]."""
    return np.concatenate([np.clip(boxes[:, :2], 0, size - 1), np.clip(boxes[:, 2:], 0, size)], axis=1)


def _by_score(view: CrowdView, score: Floats) -> tuple[Flags, Indices]:
    """Whether each counted prediction found somebody, best score first, and its image."""
    found = view.data.found
    rank = ranks(found.image, score, found.order)
    matched = match_by_rank(view.pairs.a, view.pairs.b, view.ious, rank, len(view.people)) >= 0
    counted = np.flatnonzero(matched | ~view.in_ignore)
    by_score = counted[np.lexsort((found.order[counted], -score[counted]))]
    return matched[by_score], found.image[by_score]


def _first_at_least(values: Floats, references: Floats) -> Indices:
    """For each reference the first place with a value of at least it, else the last place."""
    return np.minimum(np.searchsorted(values, references, "left"), len(values) - 1)


Counts: TypeAlias = tuple[Indices, Indices, Indices]


def _jaccard(view: CrowdView, score: Floats) -> list[Counts]:
    """Pairs, people and predictions of each image at score thresholds 0, .1, ... .9, of which the best counts."""
    kept = [score > step / SCORE_STEPS for step in range(SCORE_STEPS)]
    nested = {int(flags.sum()): flags for flags in kept}  # the same number is the same set
    return [_counts(view, flags) for flags in nested.values()]


def _counts(view: CrowdView, kept: Flags) -> Counts:
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
