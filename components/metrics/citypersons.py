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
from components.metrics.evaluation_set import EvaluationSet, Flags, Indices
from components.metrics.pairs import areas, ious, match_by_rank, overlapping, ranks

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
    rates = {name: _miss_rate(data, subset) for name, subset in SUBSETS.items()}
    return lambda drawn: {name: rate(drawn) for name, rate in rates.items()}


def _miss_rate(data: EvaluationSet, subset: Subset) -> Callable[[Indices], float | None]:
    ignored = data.truth.ignore | ~_inside(data, subset)
    person_image = data.truth.image[~ignored]
    height = data.found.xywh[:, 3]
    low, high = subset.heights
    found = data.found.only((height >= low / HEIGHT_SLACK) & (height < high * HEIGHT_SLACK))
    truth, boxes = data.truth, found.xyxy
    pairs = overlapping(boxes, found.image, truth.xyxy, truth.image)
    to_region = ignored[pairs.b]
    same = (found.label[pairs.a] == truth.label[pairs.b]) | truth.ignore[pairs.b]
    close = same & ~to_region & (ious(pairs, boxes, truth.xyxy) >= MIN_IOU)
    rank = ranks(found.image, found.score, found.order)
    values = ious(pairs, boxes, truth.xyxy)[close]
    # where two people fit equally well the reference keeps the later one
    matched = match_by_rank(pairs.a[close], pairs.b[close], values, rank, len(ignored), last_wins=True) >= 0
    inside = same & to_region & (pairs.overlap >= MIN_IOU * areas(boxes)[pairs.a])
    dropped = np.zeros(len(boxes), dtype=bool)
    dropped[pairs.a[inside]] = True
    counted = np.flatnonzero(matched | ~dropped)
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
