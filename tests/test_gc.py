"""What gc may take: resume points that no training holds."""

from __future__ import annotations

import time
from pathlib import Path

from components.gc import _checkpoints, _runs
from components.model_registry.registry import EXPERIMENT, connect
from components.training.lock import sole_run


def test_resume_points_of_a_running_training_are_kept(own_home: Path) -> None:
    folders = [own_home / "checkpoints" / name for name in ("grpo-a", "grpo-b")]
    for folder in folders:
        folder.mkdir(parents=True)
    with sole_run("grpo", folders[0]):
        assert _checkpoints() == [folders[1]]
    assert _checkpoints() == folders


def test_a_run_that_another_machine_began_today_is_kept() -> None:
    client = connect()
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    two_days_ago = (time.time() - 48 * 3600) * 1000
    client.create_run(experiment)
    forgotten, ended = client.create_run(experiment, start_time=int(two_days_ago)), client.create_run(experiment)
    client.set_terminated(ended.info.run_id)
    assert sorted(_runs(client, [])) == sorted([forgotten.info.run_id, ended.info.run_id])
