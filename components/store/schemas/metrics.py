"""What score's metrics.json says: all tasks together, each task, and detection's tables beside them."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from components.metrics.box_tables import BoxTables, Numbers
from components.store.schemas.completions import PredictSummary


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


class Metrics(BoxTables, Overall):
    """The file. A version that was registered before there were tasks has neither tasks nor headline."""

    model: str
    schema: str
    prediction: PredictSummary | None


class Unreadable(TypedDict):
    """An entry of unreadable.json: why an answer cannot be read, and the text around that place."""

    reason: str
    offset: int
    before: str
    after: str
