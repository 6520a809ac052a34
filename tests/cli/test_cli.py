"""The command line: quick to answer, one sentence on failure."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.errors import ParamsError
from components.graph.compose import compose
from tests.support.workspace import REPO, make_workspace


def lookout(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "components.cli.main", *arguments]
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys, components.cli.main; print([m for m in ('torch', 'mlflow', 'prefect', 'trl') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
    begun = time.process_time(), time.monotonic()
    assert "trace" in lookout(REPO, "--help").stdout
    assert time.monotonic() - begun[1] < 5  # half a second on a quiet machine; a heavy import takes more than five


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
