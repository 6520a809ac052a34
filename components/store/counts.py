"""What per_image.parquet counts of each sample: gains between two models are drawn from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from components.metrics.detection import ImageCounts
from components.store.schemas.scores import PER_IMAGE
from components.store.tables import read_rows


def read_counts(path: Path) -> dict[str, ImageCounts]:
    """sample_id -> its counts, in the file's order. Raises DataError as `read_rows` does."""
    return counts_of(read_rows(path, PER_IMAGE))


def counts_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, ImageCounts]:
    """The same of per_image's rows."""
    return {row["sample_id"]: row_counts(row) for row in rows}


def row_counts(row: Mapping[str, Any]) -> ImageCounts:
    """The counts of one row."""
    return ImageCounts(row["matched_count"], row["predicted_count"], row["truth_count"], row["matched_iou_sum"])
