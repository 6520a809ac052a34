"""The counts of per_image.parquet come back sample by sample, in the file's order."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.errors import DataError
from components.metrics.detection import ImageCounts
from components.store.counts import counts_of, read_counts
from components.store.schemas.prompts import PROMPTS
from components.store.schemas.scores import PER_IMAGE
from components.store.tables import write_table

ROWS = [
    {"sample_id": "b", "source": "crowd", "matched_count": 1, "predicted_count": 2, "truth_count": 3,
     "matched_iou_sum": 0.75},
    {"sample_id": "a", "source": "pages", "matched_count": 0, "predicted_count": 0, "truth_count": 4,
     "matched_iou_sum": 0.0},
]  # fmt: skip


def test_counts_come_back_in_the_files_order(tmp_path: Path) -> None:
    write_table(tmp_path / "per_image.parquet", PER_IMAGE, ROWS)
    found = read_counts(tmp_path / "per_image.parquet")
    assert list(found) == ["b", "a"]
    assert found == {"b": ImageCounts(1, 2, 3, 0.75), "a": ImageCounts(0, 0, 4, 0.0)}
    assert counts_of(ROWS) == found


def test_another_table_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "per_image.parquet", PROMPTS, [])
    with pytest.raises(DataError, match="this version of Lookout reads per_image/3"):
        read_counts(tmp_path / "per_image.parquet")
