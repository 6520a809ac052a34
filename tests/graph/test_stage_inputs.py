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
    """A lock that names a file and a folder, which are as it says, and what no stage here reads."""
    monkeypatch.chdir(tmp_path)
    for name in ("dvc.yaml", "params.yaml"):
        Path(name).symlink_to(REPO / name)
    for path in (PROMPTS, BASE / "model.safetensors", BASE / "inner/tokenizer.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was")
    stages = {
        "prompts": {"outs": [{"path": PROMPTS.as_posix(), "md5": dvc_digest(PROMPTS)}]},
        "base": {"outs": [{"path": BASE.as_posix(), "md5": dvc_digest(BASE)}]},
        "ingest@crowd": {"outs": [{"path": "data/interim/crowd", "md5": "0"}]},
        "ingest@of_an_earlier_profile": {"outs": [{"path": "data/interim/of_an_earlier_profile", "md5": "0"}]},
    }
    Path("dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}) + "\n")
    return tmp_path


def test_bytes_that_are_the_locks_pass_and_so_does_what_the_stage_does_not_read(checkout: Path) -> None:
    Path("data/interim/crowd").mkdir(parents=True)
    refuse_altered("sft")
    refuse_altered("grpo")  # what is not there is not altered
    PROMPTS.write_text("as it is now")
    refuse_altered("predict", "base")


@pytest.mark.parametrize("altered", [PROMPTS, BASE / "inner/tokenizer.json", BASE / "more"])
def test_altered_bytes_are_refused_with_what_to_do(checkout: Path, altered: Path) -> None:
    altered.write_text("as it is now")
    with pytest.raises(DataError, match=r"its bytes are not those that .* wrote; .*`dvc repro --force --single-item "):
        refuse_altered("sft")


def test_an_output_below_a_folder_that_a_stage_reads_is_looked_at_while_the_graph_has_it(checkout: Path) -> None:
    Path("data/interim/of_an_earlier_profile").mkdir(parents=True)
    refuse_altered("prompts")
    Path("data/interim/crowd").mkdir()
    with pytest.raises(DataError, match="data/interim/crowd has the MD5"):
        refuse_altered("prompts")
    with pytest.raises(DataError, match="data/interim/crowd has the MD5"):
        refuse_altered("validate", "crowd")


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        (("sft",), "data/prompts/sft.parquet"),
        (("predict", "--model", "base"), "data/prompts/test.parquet"),
        (("score", "--model", "base"), "data/predictions/base"),
    ],
)
def test_a_stage_refuses_before_it_begins(tmp_path: Path, stage: tuple[str, ...], name: str) -> None:
    for link in ("components", "conf", "dvc.yaml", "params.yaml"):
        (tmp_path / link).symlink_to(REPO / link)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("altered")
    lock = {"schema": "2.0", "stages": {"prompts": {"outs": [{"path": name, "md5": "0" * 32}]}}}
    (tmp_path / "dvc.lock").write_text(json.dumps(lock) + "\n")
    answer = run_stage(tmp_path, *stage, check=False)
    assert answer.returncode == 1
    assert "its bytes are not those that prompts wrote" in answer.stderr
    assert answer.stderr.count("\n") == 1
