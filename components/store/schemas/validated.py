"""What validate writes."""

from __future__ import annotations

from typing import Any, TypedDict

from components.core.words import Split
from components.store.tables import TableSchema


class QuarantineRow(TypedDict):
    """An image that is refused."""

    scene_id: str
    split: Split
    image_path: str
    reason: str
    annotation: str


class Check(TypedDict):
    """What is expected of a column, and what was found."""

    table: str
    type: str  # the class of Great Expectations, in its snake case
    column: str
    severity: str  # critical | warning
    note: str
    limits: dict[str, Any]  # Great Expectations' keyword arguments
    success: bool
    observed: float | None
    unexpected_count: int
    unexpected_frac: float
    first: str | None  # where the first offender stands, and what it is


class Histogram(TypedDict):
    """counts[i] is of values from edges[i] to edges[i + 1]; the last one has no upper edge."""

    edges: list[float]
    counts: list[int]


class Validated(TypedDict):
    """validation.json."""

    schema: str
    dataset: str
    counts: dict[str, Any]
    checks: list[Check]
    distributions: dict[str, Histogram]
    quarantined: int
    quarantined_frac: float
    success: bool


QUARANTINE = TableSchema("quarantine", 1, QuarantineRow)
