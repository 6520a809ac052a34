"""The interpreter of a stage's processes: this one, or one that params name, in an environment of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from components.errors import TrainingError
from components.params.predict import PredictParams
from components.params.reading import load_section
from components.params.trainer import LaunchParams
from components.policy import launch
from tests.support.workspace import REPO


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What torch's launcher was to start: interpreter, processes, command."""
    seen: list[Any] = []

    def launcher(config: Any, python: str) -> Callable[..., None]:
        return lambda *command: seen.append((python, config.nproc_per_node, command))

    monkeypatch.setattr("torch.distributed.launcher.api.elastic_launch", launcher)
    monkeypatch.setattr(os, "environ", dict(os.environ))  # what is set for the processes stays here
    monkeypatch.chdir(REPO)
    return seen


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The interpreter of a second environment beside the one that runs."""
    path = tmp_path / ".venv-gpu/bin/python"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    return str(path)


def launched(processes: int, python: Literal["gpu"] | None) -> LaunchParams:
    return LaunchParams(processes=processes, deepspeed="none", threads=1, nodes=1, rendezvous=None, python=python)


def here() -> None:
    raise AssertionError("this process was to do the work")


@pytest.mark.parametrize("processes", [1, 2])
def test_the_interpreter_that_params_name_runs_a_training(started: list[Any], other: str, processes: int) -> None:
    launch.run_training("sft", ["-m", "stage"], launched(processes, "gpu"), here)
    assert started == [(other, processes, ("-u", "-m", "stage"))]


def test_without_one_it_is_this_one(started: list[Any]) -> None:
    launch.run_training("sft", ["-m", "stage"], launched(2, None), here)
    assert started == [(sys.executable, 2, ("-u", "-m", "stage"))]


def test_what_another_one_has_answered_is_put_together_here(started: list[Any], other: str) -> None:
    params = load_section(PredictParams).model_copy(update={"processes": 1, "python": "gpu"})
    together: list[str] = []
    launch.run_predict(["-m", "stage"], params, lambda: together.append("here"))
    assert started == [(other, 1, ("-u", "-m", "stage"))]
    assert together == ["here"]


def test_one_that_is_not_there_is_a_sentence(
    started: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    for wanted, named in ((r"\.venv-gpu/bin/python", ""), ("gone/python", "gone/python")):
        monkeypatch.setitem(os.environ, launch.GPU_PYTHON, named)
        with pytest.raises(TrainingError, match=rf"sft: params ask for python: gpu, but .*{wanted} is not there"):
            launch.run_training("sft", [], launched(1, "gpu"), here)
    assert started == []


def test_params_name_no_program() -> None:
    """Overrides are typed into a form: whoever may do so must not choose what is run."""
    for python in ("/bin/sh", ".venv-gpu/bin/python", "python"):
        with pytest.raises(ValidationError, match="python"):
            LaunchParams(processes=1, deepspeed="none", threads=1, nodes=1, rendezvous=None, python=python)  # type: ignore[arg-type]
        with pytest.raises(ValidationError, match="python"):
            PredictParams(**load_section(PredictParams).model_dump() | {"python": python})
