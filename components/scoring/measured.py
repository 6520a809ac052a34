"""One number of what score wrote, for any drawing of its samples: promotion compares versions by it.

Names are those of metrics.json: `headline`, a task's (`count.headline`), or a table's number (`crowdhuman.MR`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.core.boxes import as_boxes
from components.core.dotted import leaves, value_at
from components.core.metrics_json import RecordedMetrics
from components.errors import DataError
from components.metrics.evaluation_set import Detections, EvaluationSet, Indices, evaluation_set
from components.metrics.resampling import POOLED, TABLES, Measure, of_boxes, of_counts
from components.metrics.task import headline_of
from components.params.promote import HEADLINE
from components.scoring.answers import image_truths
from components.store.counts import row_counts
from components.store.schemas.prompts import PROMPTS
from components.store.schemas.scores import DETECTIONS, PER_IMAGE, DetectionRow, PerImageRow
from components.store.tables import read_rows


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The samples that a number is of, in order, the dataset of each, and the number for any drawing of them."""

    sample_ids: list[str]
    sources: list[str]
    measure: Measure

    @property
    def once(self) -> Indices:
        """(N,): every sample drawn once."""
        return np.ones(len(self.sample_ids), dtype=np.intp)

    def of_source(self, source: str) -> Indices:
        """(N,): every sample of this dataset drawn once, no other."""
        return np.array([own == source for own in self.sources], dtype=np.intp)


def names_in(metrics: RecordedMetrics) -> list[str]:
    """Every number of a metrics.json that `measured` can draw again; an undefined one is none."""
    tasks = [
        f"{task}.{HEADLINE}" for task, one in metrics.get("tasks", {}).items() if one[HEADLINE]["value"] is not None
    ]
    numbers = [
        name
        for table in TABLES
        for name, value in leaves(metrics).items()
        if name.startswith(f"{table}.") and isinstance(value, int | float)
    ]
    return [HEADLINE, *tasks, *numbers]


def value_in(metrics: RecordedMetrics, name: str) -> float | None:
    """The number of a metrics.json; None where it is undefined or not there."""
    if name == HEADLINE:
        return headline_of(metrics).value
    table, _, number = name.partition(".")
    if number == HEADLINE:
        return value_at(metrics, f"tasks.{table}.{HEADLINE}.value")
    return value_at(metrics, name)


def measured(scores: Path, name: str, prompts: Callable[[], Path]) -> Measured:
    """`scores`: the folder that score wrote; `prompts` says where the truth is, and is asked only where it is needed.

    Raises DataError where the two are not of the same images.
    """
    table, _, number = name.partition(".")
    rows = list(read_rows(scores / "per_image.parquet", PER_IMAGE))
    if name != HEADLINE:
        task = table if number == HEADLINE else "detect"
        rows = [row for row in rows if row["task"] == task]
    pooled = "f1" if HEADLINE in (name, number) else number if table == "detection" else ""
    if pooled in POOLED:
        measure = of_counts([row_counts(row) for row in rows], pooled)
    else:
        measure = of_boxes(_boxes(rows, scores, prompts()), table, number)
    return Measured([row["sample_id"] for row in rows], [row["source"] for row in rows], measure)


def _boxes(rows: list[PerImageRow], scores: Path, prompts: Path) -> EvaluationSet:
    """The boxes that score kept and the truth that rides along with the prompts, an entry a row."""
    truths = image_truths(list(read_rows(prompts, PROMPTS)))
    lost = [row["sample_id"] for row in rows if row["sample_id"] not in truths]
    if lost:
        raise DataError(f"{prompts} has no {lost[0]}, which {scores} is about; it is of other test images")
    found: dict[str, list[DetectionRow]] = {row["sample_id"]: [] for row in rows}
    for box in read_rows(scores / "detections.parquet", DETECTIONS):
        if box["sample_id"] in found:
            found[box["sample_id"]].append(box)
    said = [
        Detections(
            as_boxes([[box[side] for side in ("x1", "y1", "x2", "y2")] for box in boxes]),
            tuple(box["label"] for box in boxes),
            np.array([box["score"] for box in boxes], dtype=float),
        )
        for boxes in found.values()
    ]
    return evaluation_set(said, [truths[name] for name in found])
