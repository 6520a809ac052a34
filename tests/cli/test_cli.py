"""The command line: quick to answer, one sentence on failure."""

from __future__ import annotations

import ast
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.cli.main import app
from components.errors import ParamsError
from components.graph.compose import compose
from tests.support.workspace import REPO, make_workspace


def lookout(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "components.cli.main", *arguments]
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


PEER_APP = "import typer; app = typer.Typer(); app.command()(lambda: None)"
PEER = f"{PEER_APP}; app(['--help'])"
"""The help of a command of one verb, without any code of ours."""
MOST_TIMES_THE_PEER, MOST_CPU_S = 1.5, 1.5
"""Processor time, which a busy machine hardly changes: 0.32 s and 1.15 times the peer; numpy alone adds half."""


def cpu_s(*commands: tuple[str, ...]) -> list[float]:
    """Processor time of each, by turns, the least of five: what is more than that is noise."""
    took: list[list[float]] = [[] for _ in commands]
    for _ in range(5):
        for times, arguments in zip(took, commands, strict=True):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, *arguments], cwd=REPO, capture_output=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return [min(times) for times in took]


def test_help_takes_about_as_long_as_the_help_of_one_verb() -> None:
    ours, peer = cpu_s(("-m", "components.cli.main", "--help"), ("-c", PEER))
    assert ours < MOST_TIMES_THE_PEER * peer
    assert ours < MOST_CPU_S


def test_help_imports_what_typer_needs_and_nothing_else_from_outside() -> None:
    code = (
        "import sys; from components.cli.main import app; app(['--help'], standalone_mode=False); "
        "print(sorted({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
    )
    names = {}
    for what, text in (("ours", code), ("peer", code.replace("from components.cli.main import app", PEER_APP))):
        answer = subprocess.run([sys.executable, "-c", text], cwd=REPO, capture_output=True, text=True, check=True)
        names[what] = set(ast.literal_eval(answer.stdout.splitlines()[-1]))
    assert names["ours"] - names["peer"] == {"components"}


def test_the_help_has_a_panel_a_room_and_each_verb_in_one() -> None:
    panels: dict[str, list[str]] = {}
    for command in app.registered_commands + [one for room in app.registered_groups for one in verbs_of(room)]:
        panels.setdefault(str(command.rich_help_panel), []).append(command.name or command.callback.__name__)
    assert {name: len(verbs) for name, verbs in panels.items()} == {
        "data": 6,
        "running": 8,
        "scoring": 2,
        "registry": 13,
    }
    assert "trace" in panels["registry"]
    shown = lookout(REPO, "--help").stdout
    places = [shown.index(f"─ {name} ─") for name in ("data", "running", "scoring", "registry")]
    assert places == sorted(places)


def verbs_of(room: Any) -> list[Any]:
    return room.typer_instance.registered_commands


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["summary"], "the pipeline has not run to its end"),
        (
            ["compose", "huge"],
            "conf/profile has no huge.yaml; it has dip-r1, perception-r1-counting, perception-r1-detection, "
            "perception-r1-grounding, perception-r1-ocr, scratch-82m, smoke, study, study-counting, tiny, "
            "tiny-counting",
        ),
        (["register"], "dvc.lock is not there"),
        (["validate", "--dataset", "crwd"], "params.yaml has no datasets.crwd; it has ['crowd']"),
        (["drift", "--dataset", "crwd"], "params.yaml has no datasets.crwd; it has ['crowd']"),
        (["fetch-images", "--dataset", "crwd"], "params.yaml has no datasets.crwd; it has ['crowd']"),
    ],
)
def test_a_failure_is_one_sentence_and_exit_code_1(tmp_path: Path, arguments: list[str], words: str) -> None:
    answer = lookout(make_workspace(tmp_path / "w"), *arguments)
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: ")
    assert words in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_mistyped_params_key_stops_a_stage_in_one_sentence(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "w")
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("max_people:", "max_poeple:"))
    command = [sys.executable, "-m", "components.operations.stage", "components.stages.ingest", "--dataset", "crowd"]
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stderr.strip() == (
        "error: params.yaml: validate.max_poeple is not a parameter; is it mistyped? (and 1 more)"
    )


def test_composing_an_unknown_profile_changes_nothing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(make_workspace(tmp_path / "w"))
    before = Path("params.yaml").read_text()
    with pytest.raises(ParamsError):
        compose("huge")
    assert Path("params.yaml").read_text() == before
    compose("smoke")
    assert "profile: smoke" in Path("params.yaml").read_text()
    assert sorted(path.name for path in Path().glob("*.new.yaml")) == []
