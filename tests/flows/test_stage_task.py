"""The flow's tasks are dvc.yaml's stages, and a failure keeps the stage's own sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.errors import ParamsError
from components.graph import stage_names
from flows.stage_task import failure_sentence


def test_every_stage_stands_in_the_graphs_order() -> None:
    assert stage_names() == [
        "synthesize@crowd", "ingest@crowd", "validate@crowd", "base", "prompts", "sft", "grpo",
        "predict@base", "predict@sft", "predict@grpo", "score@base", "score@sft", "score@grpo", "report", "register",
    ]  # fmt: skip


def test_a_mapping_that_params_lack_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages:\n  a: {foreach: '${things}', do: {cmd: x}}\n")
    (tmp_path / "params.yaml").write_text("datasets: {}\n")
    with pytest.raises(ParamsError, match="for each of things:"):
        stage_names()


def test_the_stages_own_sentence_is_kept() -> None:
    lines = ["Running stage 'x':", "error: the dataset is gone", "ERROR: failed to reproduce 'x': exit code 1", ""]
    assert failure_sentence(lines) == "the dataset is gone"
    assert failure_sentence(["", "Killed", ""]) == "Killed"
    assert failure_sentence([]) == "it said nothing"
