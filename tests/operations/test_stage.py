"""How a stage is started: by one module, in as many processes as params ask for, each of them started the same way."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.core.words import TRAINED
from components.model_registry.starting_policy import fetch_policy
from components.operations import stage
from components.policy import launch
from components.stages import base, grpo, predict, score, sft
from tests.support.workspace import make_workspace

STARTER = ["-m", "components.operations.stage"]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was done in place of launches and of the mains, in a workspace whose trainings ask for two processes."""
    monkeypatch.chdir(make_workspace(tmp_path / "w"))
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("processes: 1", "processes: 2"))
    monkeypatch.setenv("LOOKOUT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "argv", ["stage"])
    found: list[Any] = []
    monkeypatch.setattr(
        launch, "_launch", lambda name, command, params: found.append((name, command, params.processes))
    )
    for module in (base, sft, grpo, predict, score):
        monkeypatch.setattr(module, "main", _main(module.__name__, found))
    return found


def _main(name: str, found: list[Any]) -> Callable[..., None]:
    return lambda *given: found.append((name, sys.argv[1:], *given))


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_of_several_processes_starts_each_by_the_starter(calls: list[Any], name: str) -> None:
    stage.run(f"components.stages.{name}", [])
    assert calls == [(name, [*STARTER, f"components.stages.{name}"], 2)]


def test_predict_goes_on_behind_its_processes_to_put_their_answers_together(calls: list[Any]) -> None:
    stage.run("components.stages.predict", ["--model", "sft"])
    arguments = ["--model", "sft"]
    assert calls == [
        ("predict", [*STARTER, "components.stages.predict", *arguments], 2),
        ("components.stages.predict", arguments),
    ]


@pytest.mark.parametrize("name", ["sft", "predict", "score"])
def test_one_of_several_processes_and_a_stage_of_one_do_the_work(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("RANK", "0")
    stage.run(f"components.stages.{name}", ["--model", "sft"])
    assert calls == [(f"components.stages.{name}", ["--model", "sft"])]


def test_base_is_handed_the_registry(calls: list[Any]) -> None:
    stage.run("components.stages.base", [])
    assert calls == [("components.stages.base", [], fetch_policy)]


def test_dvc_starts_every_stage_by_the_starter() -> None:
    stages = YAML(typ="safe").load(Path("dvc.yaml").read_text())["stages"]
    for name, found in stages.items():
        words = found.get("do", found)["cmd"].split()
        assert words[:4] == ["python", *STARTER, f"components.stages.{name}"]
