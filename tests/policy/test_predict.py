"""predict: killed it goes on by batches; any number of processes gives the same answers; vLLM's lines are the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.errors import TrainingError
from components.machine.progress import progress
from components.params.predict import PredictParams
from components.policy import predict
from components.policy.predict import predict_files
from components.store.schemas.prompts import PROMPTS
from components.store.tables import read_table
from tests.support.workspace import run_stage

PARAMS = PredictParams(batch_size=3, max_new_tokens=12, threads=1, bf16=False, processes=1, samples=2, temperature=1.0,
                       top_p=1.0, seed=5, vllm=None)  # fmt: skip
FILES = ("completions.jsonl", "samples.jsonl")


def answer(prepared: Path, out: Path, params: PredictParams = PARAMS) -> dict[str, Any]:
    return predict_files(prepared / "models/base", prepared / "data/prompts/test.parquet", out, params, progress)


@pytest.fixture
def home(tmp_path: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("LOOKOUT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_killed_after_a_batch_it_goes_on_and_ends_with_the_same_files(
    prepared: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = answer(prepared, tmp_path / "whole")
    assert summary["images"] == 8
    assert summary["tokens"] == 8 * 3 * 12  # an untrained policy never ends by itself
    assert summary["cut_at_the_limit"] == 8
    assert list((home / "predictions").iterdir()) == []
    calls: list[int] = []
    complete = predict.Policy.complete

    def killed_later(self: Any, images: Any, prompts: Any) -> Any:
        calls.append(len(images))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return complete(self, images, prompts)

    monkeypatch.setattr(predict.Policy, "complete", killed_later)
    with pytest.raises(KeyboardInterrupt):
        answer(prepared, tmp_path / "killed")
    assert not (tmp_path / "killed").exists()
    (journal,) = (home / "predictions").glob("*/*.jsonl")
    with journal.open("ab") as file:
        file.write(b'{"batch": 1, "lines": ["\xe4\xba')  # a character that the kill has torn in two
        file.write(b'\n7\n[]\n{"batch": 1}\n')
    with journal.open("a") as file:
        file.write('{"batch": 1, "sam')  # a line torn by the kill
    answer(prepared, tmp_path / "killed")
    assert calls == [3, 3, 3, 2]  # the first batch was not answered again
    for name in FILES:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    lines = [json.loads(line) for line in (tmp_path / "whole/samples.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == [0, 1] * 8
    assert len({line["text"] for line in lines}) > 8  # sampled, not greedy twice


@pytest.mark.slow
def test_two_processes_give_the_same_answers(prepared: Path, tmp_path: Path) -> None:
    import shutil

    from tests.support.workspace import read_params, write_params

    folder = tmp_path / "workspace"
    shutil.copytree(prepared, folder, symlinks=True)
    answers = []
    for processes in (1, 2):
        params = read_params(folder)
        params["predict"] |= {"processes": processes, "batch_size": 3, "samples": 2}
        write_params(folder, params)
        run_stage(folder, "predict", "--model", "base")
        answers.append([(folder / "data/predictions/base" / name).read_bytes() for name in FILES])
    assert answers[0] == answers[1]


class FakeSampling:
    def __init__(self, **options: Any) -> None:
        self.options = options


class FakeEngine:
    """Says the same two tokens to everything, as vLLM's LLM does its output."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def generate(self, requests: list[dict[str, Any]], sampling: Any, use_tqdm: bool) -> list[Any]:
        assert list(sampling.options["logit_bias"].values()) == [-100.0]  # the image token is never drawn
        assert all(request["multi_modal_data"]["image"].size for request in requests)
        steps = [{token: SimpleNamespace(logprob=-0.5)} for token in (3, 4)]
        output = SimpleNamespace(token_ids=[3, 4], finish_reason="length", logprobs=steps)
        return [SimpleNamespace(outputs=[output] * sampling.options.get("n", 1)) for _ in requests]


def test_vllms_answers_have_the_same_lines(
    prepared: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = PARAMS.model_copy(update={"vllm": SimpleNamespace(gpu_memory_utilization=0.5)})
    with pytest.raises(TrainingError, match=r"predict\.vllm is set but vllm is not installed"):
        predict._policy(prepared / "models/base", params)
    fake = SimpleNamespace(LLM=FakeEngine, SamplingParams=FakeSampling)
    monkeypatch.setitem(sys.modules, "vllm", fake)
    policy = predict._policy(prepared / "models/base", params)
    row = read_table(prepared / "data/prompts/test.parquet", PROMPTS).to_pylist()[0]
    images = [SimpleNamespace(size=(64, 64))]
    (line,) = policy.complete(images, [row["prompt"]])
    assert line["finish_reason"] == "length"
    assert line["token_count"] == 2
    assert set(line) == {"text", "finish_reason", "token_count", "answer_tokens"}
    assert len(policy.sample(images, [row["prompt"]], 3, seed=1)) == 3
