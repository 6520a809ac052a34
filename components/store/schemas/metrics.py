"""The files of numbers that score writes beside its tables: metrics.json and unreadable.json."""

from __future__ import annotations

from typing import TypedDict, TypeGuard

from components.core.metrics_json import BoxTables, Overall
from components.store.schemas.completions import PredictSummary


class Metrics(Overall):
    """metrics.json."""

    model: str
    schema: str
    prediction: PredictSummary | None


class BoxMetrics(BoxTables, Metrics):
    """metrics.json where detection was asked for."""


class Unreadable(TypedDict):
    """An entry of unreadable.json: why an answer cannot be read, and the text around that place."""

    reason: str
    offset: int
    before: str
    after: str


def has_boxes(metrics: Metrics) -> TypeGuard[BoxMetrics]:
    """Whether detection was asked for."""
    return "detection" in metrics
