"""A build of an extension that was killed blocks no later training, and one that runs is left alone."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from torch.utils.file_baton import FileBaton

from components.params.trainer import LaunchParams
from components.policy import launch
from components.policy.extensions import free_builds


def test_the_lock_of_a_killed_build_is_taken_away_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lock = tmp_path / "py311_cpu/deepspeed_shm_comm/lock"
    lock.parent.mkdir(parents=True)
    lock.touch()  # as a kill leaves it
    with caplog.at_level(logging.INFO):
        free_builds(tmp_path)
    assert not lock.exists()
    assert caplog.messages == [f"{lock}: the build that held it was killed; the lock is taken away"]


def test_the_lock_of_a_build_that_runs_stays(tmp_path: Path) -> None:
    baton = FileBaton(str(tmp_path / "lock"))
    assert baton.try_acquire()
    free_builds(tmp_path)
    assert (tmp_path / "lock").exists()
    baton.release()


@pytest.mark.parametrize(("deepspeed", "nodes", "freed"), [("zero2", 1, True), ("none", 1, False), ("zero2", 2, False)])
def test_a_training_with_deepspeed_frees_them_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deepspeed: str, nodes: int, freed: bool
) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    (tmp_path / "lock").touch()
    seen: list[bool] = []
    monkeypatch.setattr(launch, "_run_processes", lambda *_: seen.append((tmp_path / "lock").exists()))
    more = {"deepspeed": deepspeed, "nodes": nodes, "rendezvous": "10.0.0.1:29500" if nodes > 1 else None}
    launch.run_training("sft", [], LaunchParams(processes=2, threads=1, **more), lambda: None)
    assert seen == [not freed]
