"""What gc may take: resume points that no training holds."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.errors import RegistryError
from components.machine.training_lock import sole_run
from components.model_registry.gc import _all_tagged, _checkpoints, _has_lineage, _named_runs, _runs
from components.model_registry.registry import EXPERIMENT, connect, registered_versions


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


def test_a_run_that_any_version_names_is_kept_whoever_registered_it() -> None:
    client = connect()
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    by_hand, by_path, by_model, nobodys = (client.create_run(experiment).info.run_id for _ in range(4))
    model = client.create_logged_model(experiment, source_run_id=by_model).model_id
    client.create_registered_model("of-a-colleague")
    root = client.get_run(by_path).info.artifact_uri
    for source, run in ((f"runs:/{by_hand}/model", by_hand), (f"{root}/model", None), (f"models:/{model}", None)):
        client.create_model_version("of-a-colleague", source, run_id=run)
    for run in (by_hand, by_path, by_model, nobodys):
        client.set_terminated(run)
    bare = SimpleNamespace(run_id=None, source=f"models:/{model}")  # as a client of before MLflow 3 leaves it
    assert _named_runs(client, bare) == {by_model}
    versions = registered_versions(client)
    assert _runs(client, versions) == [nobodys]
    assert not any(_has_lineage(client, version) for version in versions)
    client.log_text(by_hand, "{}", "statement.json")  # its tag is gone, its lineage is not: its cache files stay too
    (ours,) = [version for version in versions if _has_lineage(client, version)]
    assert ours.run_id == by_hand
    with pytest.raises(RegistryError, match="the tags of 1 versions are not in this repository"):
        _all_tagged([ours])
