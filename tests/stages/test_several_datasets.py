"""Two datasets train together, a third is only evaluated on: ingest, validate, prompts, training and scores."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from components.store.schemas.prompts import PROMPTS
from components.store.schemas.scores import PER_IMAGE
from components.store.tables import read_table
from tests.support.layouts import citypersons_mat
from tests.support.workspace import call_stage, make_workspace, read_params, write_params


@pytest.mark.slow
def test_two_datasets_train_and_a_third_is_only_evaluated_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_workspace(tmp_path / "workspace")
    monkeypatch.chdir(folder)
    params = read_params(folder)
    params["synthetic"]["second"] = params["synthetic"]["crowd"] | {"seed": 77, "root": "data/raw/second"}
    params["datasets"]["second"] = params["datasets"]["crowd"] | {"root": "data/raw/second"}
    params["datasets"]["crowd"] |= {"sampling_weight": 3.0}
    third = citypersons_mat(folder / "data/raw/third").model_copy(update={"role": "eval", "root": "data/raw/third"})
    classes = {"pedestrian": "person"}
    params["datasets"]["third"] = third.model_dump(exclude_defaults=True) | {"classes": classes}
    del params["datasets"]["third"]["annotations"]["train"]
    params["base"]["build"]["max_number"] = 80  # the third's images are larger than the drawn crowd's
    params["prompts"]["max_samples"] = {"train": 20, "val": 4, "test": 19}
    params["sft"] |= {"max_steps": 2}
    write_params(folder, params)
    for name in ("crowd", "second"):
        call_stage("synthesize", "--name", name)
    for name in params["datasets"]:
        call_stage("ingest", "--dataset", name)
        call_stage("validate", "--dataset", name)
    for stage in ("base", "prompts", "sft"):
        call_stage(stage)
    call_stage("predict", "--model", "sft")
    call_stage("score", "--model", "sft")
    summary = json.loads((folder / "data/prompts/summary.json").read_text())
    assert summary["samples_by_dataset"]["train"] == {"crowd": 15, "second": 5}
    assert summary["samples_by_dataset"]["test"] == {"crowd": 8, "second": 8, "third": 3}
    assert set(read_table(folder / "data/prompts/sft.parquet", PROMPTS)["source"].to_pylist()) == {"crowd", "second"}
    scored = read_table(folder / "reports/scores/sft/per_image.parquet", PER_IMAGE)["source"].to_pylist()
    assert Counter(scored) == {"crowd": 8, "second": 8, "third": 3}
