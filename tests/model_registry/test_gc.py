"""What `lookout gc` may take: nothing that a version or a running training names."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from components.cli.main import app
from components.errors import RegistryError
from components.model_registry import gc
from components.model_registry.registry import EXPERIMENT, connect, registered_versions
from components.training.checkpoints import sole_run

TWO_DAYS_S = 48 * 3600


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a repository, and a cache of which nothing goes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOKOUT_JOBS", "2")
    monkeypatch.setattr(gc, "clear_cache", lambda _dry_run: "")


def said(*arguments: str) -> list[str]:
    """The lines of `lookout gc`, which ends well."""
    answer = CliRunner().invoke(app, ["gc", *arguments], catch_exceptions=False)
    assert answer.exit_code == 0
    return answer.stdout.splitlines()


def test_resume_points_of_a_running_training_are_kept(own_home: Path) -> None:
    held, free = (own_home / "checkpoints" / name for name in ("grpo-a", "grpo-b"))
    for folder in (held, free):
        folder.mkdir(parents=True)
    with sole_run("grpo", held):
        assert said()[2:] == ["Would remove 1 resume points grpo-b", "Nothing was removed: --remove does it."]
        assert free.exists()
        assert said("--remove")[2:] == ["Removed 1 resume points grpo-b"]
        assert (held.exists(), free.exists()) == (True, False)
    assert said()[2] == "Would remove 1 resume points grpo-a"


def test_a_run_that_another_machine_began_today_is_kept() -> None:
    client = connect()
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    begun = client.create_run(experiment).info.run_id
    forgotten = client.create_run(experiment, start_time=int((time.time() - TWO_DAYS_S) * 1000)).info.run_id
    ended = client.create_run(experiment).info.run_id
    client.set_terminated(ended)
    assert said("--remove")[1].startswith("Removed 2 runs without a version ")
    stages = {run: client.get_run(run).info.lifecycle_stage for run in (begun, forgotten, ended)}
    assert stages == {begun: "active", forgotten: "deleted", ended: "deleted"}


def test_a_run_that_any_version_names_is_kept_whoever_registered_it(monkeypatch: pytest.MonkeyPatch) -> None:
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

    def as_older_clients_leave_them(client: Any) -> list[Any]:
        return [
            SimpleNamespace(name=one.name, version=one.version, tags=one.tags, source=one.source,
                            run_id=None if model in one.source else one.run_id)
            for one in registered_versions(client)
        ]  # fmt: skip

    monkeypatch.setattr(gc, "registered_versions", as_older_clients_leave_them)
    assert said()[1] == f"Would remove 1 runs without a version {nobodys}"
    client.log_text(by_hand, "{}", "statement.json")  # its tag is gone, its lineage is not: its cache files stay too
    with pytest.raises(RegistryError, match="the tags of 1 versions are not in this repository"):
        said("--remove")
    assert client.get_run(nobodys).info.lifecycle_stage == "active"
