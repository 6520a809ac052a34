"""What a study's table says of an arm beside its headline: numbers of metrics.json, by task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from components.core.tasks import has_own_tables
from components.report.tasks import TASK_PAGES
from components.store.schemas.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Column:
    """`value` reads one number out of metrics.json; None where it is undefined or was not measured."""

    title: str
    value: Callable[[Metrics], float | None]


@dataclass(frozen=True, slots=True)
class TaskColumns:
    """`drawn`: what a row of per_image.parquet is, in the plural; the bootstrap draws them."""

    drawn: str
    columns: tuple[Column, ...]


def _at(*keys: str) -> Callable[[Metrics], float | None]:
    def value(metrics: Metrics) -> float | None:
        found: Any = metrics
        for key in keys:
            found = found[key]
        return found

    return value


def tokens_per_answer(metrics: Metrics) -> float | None:
    """Mean length of the generated answers, greedy and sampled, in tokens; None where predict left no summary."""
    said = metrics["prediction"]
    return said["tokens"] / (said["images"] * (1 + said["samples_per_image"])) if said else None


FORM = (Column("format rate", _at("format_rate")), Column("tokens an answer", tokens_per_answer))
"""How it was answered, and what that costs. Detection lacks it: its tokens are mostly those of sampled answers."""


def columns_of(metrics: Metrics) -> TaskColumns:
    """The columns of a metrics.json: its one task's, or each task's headline where several were scored together."""
    tasks = metrics.get("tasks", {"detect": None})  # one written before there were tasks is detection's
    if len(tasks) == 1:
        (task,) = tasks
        page = TASK_PAGES.get(task)
        columns = [Column(title, _at(*path.split("."))) for title, path in page.columns.items()] if page else []
        return TaskColumns("images", (*columns,)) if has_own_tables(task) else TaskColumns("samples", (*columns, *FORM))
    headlines = (
        Column(one["headline"]["name"], _at("tasks", task, "headline", "value")) for task, one in tasks.items()
    )
    return TaskColumns("samples", (*headlines, *FORM))
