"""A few kills and faults of `make drill`: two stages, full and read-only disks, damaged files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drill.faults import disks, tables
from tests.drill.kills import kill_stages
from tests.support.checkout import copied

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(finished: tuple[Path, str], tmp_path: Path) -> Path:
    return copied(finished[0], tmp_path / "checkout")


def test_kills_lose_nothing_leave_nobody_and_block_nothing(folder: Path) -> None:
    rows = [*kill_stages(folder, 2, stages=("ingest@crowd", "score@sft"))]
    assert [row.kills for row in rows] == [1, 1]
    assert sum(row.hit for row in rows) >= 1
    assert [row for row in rows if not row.holds()] == []


def test_faults_of_disks_and_files_are_one_sentence_each(folder: Path) -> None:
    faults = [*disks(folder, stages=2), *tables(folder, stages=2)]
    assert len(faults) in (2, 6), "only root may mount a disk"
    assert [fault for fault in faults if not fault.holds] == []
