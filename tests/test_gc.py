"""What gc may take: resume points that no training holds."""

from __future__ import annotations

from pathlib import Path

from components.gc import _checkpoints
from components.training.lock import sole_run


def test_resume_points_of_a_running_training_are_kept(own_home: Path) -> None:
    folders = [own_home / "checkpoints" / name for name in ("grpo-a", "grpo-b")]
    for folder in folders:
        folder.mkdir(parents=True)
    with sole_run("grpo", folders[0]):
        assert _checkpoints() == [folders[1]]
    assert _checkpoints() == folders
