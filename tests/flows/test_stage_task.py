"""The flow's tasks are dvc.yaml's stages, and a failure keeps the stage's own sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.states import Failed

from components.errors import ParamsError
from components.graph.stages import stage_names
from flows import stage_task
from flows.stage_task import Progress, StageFailed, plan, second_try_helps


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


def test_a_second_try_is_for_the_network_not_for_bad_data() -> None:
    expected = {
        "the registry at http://x does not answer": True,
        "the registry /x/mlflow.db is held by process 7 (python)": True,
        "Connection reset by peer": True,
        "crowd: 4 rows are not valid": False,
        "params.yaml: grpo.max_steps is 'many'": False,
    }
    for sentence, helps in expected.items():
        assert second_try_helps(None, None, Failed(data=StageFailed("register", sentence))) is helps


def test_targets_are_run_with_what_is_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan(["prompts"], True) == (["synthesize@crowd", "ingest@crowd", "validate@crowd", "base", "prompts"], 0)
    assert plan(["score"], True)[0][-1] == "score@grpo"
    assert plan([], True)[0] == stage_names()
    with pytest.raises(ParamsError, match=r"dvc\.yaml has no stage gpro; it has synthesize@crowd"):
        plan(["gpro"])


def test_what_is_up_to_date_is_counted_to_the_first_stage_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copied = {to: {"cmd": f"cp {source} {to}", "deps": [source], "outs": [to]} for source, to in ("ab", "bc", "cd")}
    Path("dvc.yaml").write_text(json.dumps({"stages": copied}))
    Path("params.yaml").write_text("{}")
    Path("a").write_text("one")
    for command in (["init", "-q", "--no-scm"], ["repro", "-q"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], check=True)
    assert plan([]) == (["b", "c", "d"], 3)
    assert plan(["c"], force=True) == (["b", "c"], 0)
    Path("c").unlink()
    assert plan([]) == (["b", "c", "d"], 1)  # d is as it was, but runs behind one that is not
    Path("a").write_text("two")
    assert plan([]) == (["b", "c", "d"], 0)


def test_progress_is_read_from_the_trainers_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple] = []
    monkeypatch.setattr(stage_task, "create_progress_artifact", lambda *given: shown.append(given) or "artifact")
    monkeypatch.setattr(stage_task, "update_progress_artifact", lambda *given: shown.append(given))
    progress = Progress()
    for line in ("17:12:08 INFO grpo step 8 of 160: loss 0.0185, reward 0.5892, 194 s left", "Writing model shards",
                 "17:12:18 INFO grpo step 16 of 160: loss 0.01, reward 0.6, 60 s left"):  # fmt: skip
        progress.show(line)
    assert shown == [
        (5.0, "progress-grpo", "step 8 of 160, loss 0.0185, reward 0.5892, 3 min left"),
        ("artifact", 10.0, "step 16 of 160, loss 0.01, reward 0.6, 1 min left"),
    ]
