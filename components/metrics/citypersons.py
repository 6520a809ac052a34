"""CityPersons' MR^-2 in its four subsets, as the Caltech protocol has it (arXiv:1702.05693).

People out of a subset's range become ignore regions; predictions far from its heights are left out. IoU of at least
one half; an ignore region takes any number of predictions, by their share of area inside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from components.metrics.curves import CALTECH_FPPI, log_average_miss
from components.metrics.evaluation_set import EvaluationSet, Flags, Floats, Indices
from components.metrics.pairs import Pairs, areas, ious, match_by_rank, overlapping, ranks

MIN_IOU = 0.5
HEIGHT_SLACK = 1.25


@dataclass(frozen=True, slots=True)
class Subset:
    """Heights in px and visible shares, both ends included."""

    heights: tuple[float, float]
    visible: tuple[float, float]


SUBSETS = {
    "Reasonable": Subset((50, math.inf), (0.65, math.inf)),
    "Small": Subset((50, 75), (0.65, math.inf)),
    "Heavy": Subset((50, math.inf), (0.2, 0.65)),
    "All": Subset((20, math.inf), (0.2, math.inf)),
}


def citypersons_metrics(data: EvaluationSet) -> dict[str, float | None]:
    """The log-average miss rate of each subset, less is better; None where it has nobody to find."""
    return resampled(data)(data.once)


def resampled(data: EvaluationSet) -> Callable[[Indices], dict[str, float | None]]:
    """The miss rates of images drawn so often (I,): matched once, put together anew for each drawing."""
    candidates = _candidates(data)
    rates = {name: _miss_rate(data, candidates, subset) for name, subset in SUBSETS.items()}
    return lambda drawn: {name: rate(drawn) for name, rate in rates.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """What the subsets share: the overlapping pairs (P,), and the predictions' places by score (D,).

    same: of one label, or with an ignore region; inside: at least half of the prediction lies in the annotation.
    """

    pairs: Pairs
    iou: Floats
    same: Flags
    inside: Flags
    rank: Indices


def _candidates(data: EvaluationSet) -> _Candidates:
    truth, found = data.truth, data.found
    pairs = overlapping(found.xyxy, found.image, truth.xyxy, truth.image)
    same = (found.label[pairs.a] == truth.label[pairs.b]) | truth.ignore[pairs.b]
    inside = pairs.overlap >= MIN_IOU * areas(found.xyxy)[pairs.a]
    rank = ranks(found.image, found.score, found.order)
    return _Candidates(pairs, ious(pairs, found.xyxy, truth.xyxy), same, inside, rank)


def _miss_rate(data: EvaluationSet, candidates: _Candidates, subset: Subset) -> Callable[[Indices], float | None]:
    ignored = data.truth.ignore | ~_inside(data, subset)
    person_image = data.truth.image[~ignored]
    found, a, b, rank = data.found, candidates.pairs.a, candidates.pairs.b, candidates.rank
    low, high = subset.heights
    kept = (found.xywh[:, 3] >= low / HEIGHT_SLACK) & (found.xywh[:, 3] < high * HEIGHT_SLACK)
    possible, to_region = candidates.same & kept[a], ignored[b]
    close = possible & ~to_region & (candidates.iou >= MIN_IOU)
    # where two people fit equally well the reference keeps the later one
    matched = match_by_rank(a[close], b[close], candidates.iou[close], rank, len(ignored), last_wins=True) >= 0
    dropped = np.zeros(len(kept), dtype=bool)
    dropped[a[possible & to_region & candidates.inside]] = True
    counted = np.flatnonzero(kept & (matched | ~dropped))
    by_score = counted[np.lexsort((rank[counted], found.image[counted], -found.score[counted]))]

    def rate(drawn: Indices) -> float | None:
        people = int(drawn[person_image].sum())
        if not people:
            return None
        right = np.cumsum(np.repeat(matched[by_score], drawn[found.image[by_score]]))
        per_image = (np.arange(1, len(right) + 1) - right) / drawn.sum()
        # the last point at or below each reference; the public Python code wraps round to the end where there is none
        return log_average_miss(right / people, np.searchsorted(per_image, CALTECH_FPPI, "right") - 1)

    return rate


def _inside(data: EvaluationSet, subset: Subset) -> Flags:
    height, visible = data.truth.xywh[:, 3], data.truth.visible_frac
    (low, high), (least, most) = subset.heights, subset.visible
    return np.asarray((height >= low) & (height <= high) & (visible >= least) & (visible <= most))
