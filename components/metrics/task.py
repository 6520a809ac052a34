"""What a task's metric gives, whatever the task: its table, and each sample's part of its headline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.core.grammars import AnyParsed
from components.core.scene import AnyTruth
from components.metrics.detection import ImageCounts


@dataclass(frozen=True, slots=True, eq=False)
class TaskNumbers:
    """`counts` pool to the headline: 2 matched / (predicted + truth), so that tasks share intervals and gates.

    `notes` say in a line each what a reader of the table must know: which of two ways was gone, what is missing.
    """

    table: dict[str, float | None]
    counts: list[ImageCounts]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskMetric:
    """A task's numbers over (answer, truth) of its samples, and what its headline is called."""

    headline: str
    compute: Callable[[Sequence[AnyParsed], Sequence[AnyTruth]], TaskNumbers]


def of_one(right: bool, iou: float = 0.0) -> ImageCounts:
    """A sample that is right or wrong as a whole: pooled, they are the share that is right."""
    return ImageCounts(int(right), 1, 1, iou)


@dataclass(frozen=True, slots=True)
class Headline:
    """The one number by which a model's metrics.json compares it with another, and its 95 % interval."""

    name: str
    value: float | None
    interval: tuple[float, float] | None


def headline_of(metrics: Mapping[str, Any]) -> Headline:
    """The headline of a metrics.json; of one written before there were tasks it is detection's F1."""
    found: dict[str, Any] | None = metrics.get("headline")
    if found is None:
        detection = metrics["detection"]
        found = {"name": "F1 at .5", "value": detection["f1"], "interval": detection.get("f1_interval")}
    interval = found["interval"]
    return Headline(found["name"], found["value"], (interval[0], interval[1]) if interval else None)
