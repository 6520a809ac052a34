"""A stage does not read other bytes than those that dvc.lock names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.errors import DataError
from components.graph.stage_inputs import refuse_altered
from components.store.digest import dvc_digest
from tests.support.workspace import REPO, run_stage

PROMPTS, BASE = Path("data/prompts/sft.parquet"), Path("models/base")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock that names a file and a folder, which are as it says."""
    monkeypatch.chdir(tmp_path)
    for path in (PROMPTS, BASE / "model.safetensors", BASE / "inner/tokenizer.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was")
    outs = {path.as_posix(): {"outs": [{"path": path.as_posix(), "md5": dvc_digest(path)}]} for path in (PROMPTS, BASE)}
    Path("dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": outs}) + "\n")
    return tmp_path


def test_bytes_that_are_the_locks_pass_and_so_does_what_the_lock_does_not_name(checkout: Path) -> None:
    Path("other").write_text("x")
    refuse_altered([PROMPTS, BASE, Path("other"), Path("not there")])


@pytest.mark.parametrize("altered", [PROMPTS, BASE / "inner/tokenizer.json", BASE / "more"])
def test_altered_bytes_are_refused_with_what_to_do(checkout: Path, altered: Path) -> None:
    altered.write_text("as it is now")
    with pytest.raises(DataError, match=r"its bytes are not those that .* wrote; .*`dvc repro --force --single-item "):
        refuse_altered([PROMPTS, BASE])


def test_the_first_of_several_processes_looks_for_all(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PROMPTS.write_text("as it is now")
    monkeypatch.setenv("RANK", "1")
    refuse_altered([PROMPTS])
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(DataError):
        refuse_altered([PROMPTS])


@pytest.mark.parametrize("stage", [("sft",), ("grpo",), ("predict", "--model", "base"), ("score", "--model", "base")])
def test_a_training_an_answer_and_a_score_refuse(prepared: Path, tmp_path: Path, stage: tuple[str, ...]) -> None:
    for name in ("components", "conf", "dvc.yaml"):
        (tmp_path / name).symlink_to(REPO / name)
    (tmp_path / "params.yaml").write_text((prepared / "params.yaml").read_text())
    names = ["data/prompts/sft.parquet", "data/prompts/grpo.parquet", "data/prompts/test.parquet"]
    outs = [{"path": name, "md5": "0" * 32} for name in names]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("altered")
    (tmp_path / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"prompts": {"outs": outs}}}) + "\n")
    answer = run_stage(tmp_path, *stage, check=False)
    assert answer.returncode == 1
    assert "its bytes are not those that prompts wrote" in answer.stderr
