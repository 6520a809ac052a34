"""Any one number on images drawn again: matched once, put together anew for each drawing.

Whether a gain is chance is asked of the metric itself: the same drawings of images for both models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from components.metrics import citypersons, coco, crowdhuman
from components.metrics.detection import ImageCounts, resampled_counts, resampled_mean_f1
from components.metrics.evaluation_set import EvaluationSet, Indices

Measure: TypeAlias = Callable[[Indices], float | None]
"""How often each image was drawn (I,) -> the number; None where it is undefined."""
POOLED = ("precision", "recall", "f1", "count_mae", "count_rmse", "count_within_10_percent")
"""Numbers of the table `detection` that each image's counts add up to."""
LESS_IS_BETTER = frozenset(
    {"crowdhuman.MR", "detection.count_mae", "detection.count_rmse"}
    | {f"citypersons.{name}" for name in citypersons.SUBSETS}
)


def of_counts(counts: Sequence[ImageCounts], name: str) -> Measure:
    """One of POOLED."""
    numbers = resampled_counts(counts)
    return lambda drawn: numbers(drawn)[name]


def of_boxes(data: EvaluationSet, table: str, name: str) -> Measure:
    """A protocol's number, by its names in metrics.json. Raises KeyError for another."""
    return _MAKERS[table](data, name)


def _one_of(numbers_of: Callable[[EvaluationSet], Callable[[Indices], dict[str, float | None]]]) -> _Maker:
    def make(data: EvaluationSet, name: str) -> Measure:
        numbers = numbers_of(data)
        return lambda drawn: numbers(drawn)[name]

    return make


_Maker: TypeAlias = Callable[[EvaluationSet, str], Measure]
_MAKERS: dict[str, _Maker] = {
    "coco": partial(coco.resampled, most=100),
    "coco_500": partial(coco.resampled, most=500),
    "crowdhuman": _one_of(crowdhuman.resampled),
    "citypersons": _one_of(citypersons.resampled),
    "detection": lambda data, name: {"mean_f1": resampled_mean_f1}[name](data),
}
TABLES = tuple(_MAKERS)
"""Tables of metrics.json whose numbers can be drawn again."""
