"""What a task's metric gives, whatever the task: its table, and each sample's part of its headline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from components.core.boxes import Boxes
from components.core.grammars import AnyParsed
from components.core.metrics_json import BoxTables, Numbers, Overall, RecordedMetrics
from components.core.scene import AnyTruth
from components.errors import DataError
from components.metrics.detection import ImageCounts
from components.metrics.evaluation_set import Detections, Floats

Table: TypeAlias = list[dict[str, Any]]


class ScoreSettings(Protocol):
    """The section score of params.yaml."""

    @property
    def min_iou(self) -> float: ...
    @property
    def confidence(self) -> str: ...
    @property
    def convention(self) -> str: ...
    @property
    def tie_shuffles(self) -> int: ...
    @property
    def bootstrap_samples(self) -> int: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Boxes (N, 4) in original pixels with their labels, and (N,) scores by the confidence's name; NaN = not known."""

    boxes: Boxes
    labels: tuple[str, ...]
    scores: dict[str, Floats]

    def by(self, confidence: str) -> Detections:
        """Ranked by one of the confidences."""
        return Detections(self.boxes, self.labels, self.scores[confidence])


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One question of a dataset: its truth and its answer, and the boxes of the answer.

    `found`: those of all tiles; `rescued`: with what an unreadable answer held of whole boxes.
    """

    source: str
    truth: AnyTruth
    answer: AnyParsed
    found: Found
    rescued: Found


@dataclass(frozen=True, slots=True, eq=False)
class TaskNumbers:
    """`counts` pool to the headline: 2 matched / (predicted + truth), so that tasks share intervals and gates.

    `notes` say in a line each what a reader of the table must know: which of two ways was gone, what is missing.
    `datasets`: the table of each dataset; None where the tables `beside` have it. `plots`: file name -> rows.
    `beside`: what stands in metrics.json outside the task's own entry.
    """

    table: Numbers
    counts: list[ImageCounts]
    notes: tuple[str, ...] = ()
    datasets: dict[str, Numbers] | None = None
    plots: dict[str, Table] = field(default_factory=dict[str, Table])
    beside: BoxTables | None = None


@dataclass(frozen=True, slots=True)
class TaskMetric:
    """A task's numbers, and what its headline is called."""

    headline: str
    measure: Callable[[Sequence[Judged], ScoreSettings], TaskNumbers]
    ranked: bool = False
    """Whether it looks at confidences: then tiles are put together, and sampled answers are read too."""


Of = Callable[[Sequence[AnyParsed], Sequence[AnyTruth]], TaskNumbers]
Curve = Callable[[Sequence[AnyParsed], Sequence[AnyTruth]], Table]


def of_answers(numbers: Of, **curves: Curve) -> Callable[[Sequence[Judged], ScoreSettings], TaskNumbers]:
    """Lifts numbers of (answers, truths) to a task's: with the table of each dataset, and a file for each curve."""

    def measure(judged: Sequence[Judged], settings: ScoreSettings) -> TaskNumbers:
        del settings
        sources = dict.fromkeys(one.source for one in judged)
        parts = {source: [one for one in judged if one.source == source] for source in sources}
        answers, truths = _both(judged)
        return replace(
            numbers(answers, truths),
            datasets={source: numbers(*_both(part)).table for source, part in parts.items()},
            plots={name: curve(answers, truths) for name, curve in curves.items()},
        )

    return measure


def _both(judged: Sequence[Judged]) -> tuple[list[AnyParsed], list[AnyTruth]]:
    return [one.answer for one in judged], [one.truth for one in judged]


def of_one(right: bool, iou: float = 0.0) -> ImageCounts:
    """A sample that is right or wrong as a whole: pooled, they are the share that is right."""
    return ImageCounts(int(right), 1, 1, iou)


@dataclass(frozen=True, slots=True)
class Headline:
    """The one number by which a model's metrics.json compares it with another, and its 95 % interval."""

    name: str
    value: float | None
    interval: tuple[float, float] | None


def headline_of(metrics: Overall | RecordedMetrics) -> Headline:
    """The headline of a metrics.json; of one written before there were tasks it is detection's F1.

    Raises DataError where it has neither.
    """
    if "headline" in metrics:
        found = metrics["headline"]
        name, value, interval = found["name"], found["value"], found["interval"]
    elif "detection" in metrics:
        detection = metrics["detection"]
        name, value, interval = "F1 at .5", detection["f1"], detection.get("f1_interval")
    else:
        raise DataError("metrics.json has neither headline nor detection, so models cannot be compared by it")
    return Headline(name, value, (interval[0], interval[1]) if interval else None)
