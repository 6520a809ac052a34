"""What score's metrics.json says, as far as the metrics make it: each task, all tasks together, detection's tables.

It stands below metrics and store, since both write it, and the registry reads it without depending on any metric.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

Numbers = dict[str, float | None]
"""A number by its name; None where it is undefined."""


class HeadlineEntry(TypedDict):
    """The one number that models are compared by."""

    name: str
    value: float | None
    interval: list[float] | None  # the ends of 95 %


class TaskSummary(TypedDict):
    """What every task's answers come to."""

    samples: int
    format_rate: float
    failures: dict[str, int]  # reason -> answers that cannot be read
    headline: HeadlineEntry
    numbers: Numbers


class TaskEntry(TaskSummary):
    """A task; one that has tables of its own says neither notes nor datasets."""

    notes: NotRequired[list[str]]
    datasets: NotRequired[dict[str, Numbers]]


class Overall(TypedDict):
    """All tasks together; of one task alone it is that task's."""

    images: int
    format_rate: float
    failures: dict[str, int]
    tasks: dict[str, TaskEntry]
    headline: HeadlineEntry


class DetectionTable(TypedDict):
    """Boxes pooled over images."""

    precision: float | None
    recall: float | None
    f1: float | None
    mean_f1: float | None
    count_mae: float | None
    count_rmse: float | None
    count_within_10_percent: float | None
    f1_interval: list[float] | None  # the ends of 95 %


class DatasetTables(TypedDict):
    """One dataset's images alone."""

    images: int
    detection: DetectionTable
    coco: Numbers
    crowdhuman: Numbers


class Spread(TypedDict):
    """Of a number over random orders among equal scores."""

    mean: float
    sd: float


class BoxTables(TypedDict):
    """Detection's tables; without detection there is none of them. Confidence: that by which boxes are ranked."""

    confidence: str
    convention: str
    convention_means: str
    coco: Numbers
    coco_500: Numbers
    crowdhuman: Numbers
    citypersons: Numbers
    detection: DetectionTable
    salvaged: Numbers  # detection's, with what unreadable answers held of whole boxes
    confidences: dict[str, Numbers]  # what depends on the ranking, under each confidence
    tie_shuffles: dict[str, Spread | int]  # by the number's name, and seeds: how many orders were drawn
    datasets: dict[str, DatasetTables]


class RecordedMetrics(TypedDict):
    """A registered version's, as far as it is read; one from before there were tasks has neither tasks nor headline."""

    images: int
    format_rate: float
    tasks: NotRequired[dict[str, TaskEntry]]
    headline: NotRequired[HeadlineEntry]
    confidence: NotRequired[str]
    coco: NotRequired[Numbers]
    detection: NotRequired[DetectionTable]
