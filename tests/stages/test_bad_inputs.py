"""What a user can get wrong with the tasks' datasets: at the command each is one sentence and exit code 1."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from components.cli import main as cli
from components.operations import stage
from components.stages import grpo, ingest, prompts, validate
from components.store.schemas.prompts import PROMPTS
from components.store.tables import read_rows, write_table
from tests.support.layouts import TASK_LAYOUTS
from tests.support.workspace import read_params, write_params

Fail = Callable[..., str]


@pytest.fixture
def workspace(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared workspace, as the working folder."""
    folder = shutil.copytree(prepared, tmp_path / "workspace", symlinks=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fail:
    """Runs a stage's main, or a `lookout` command, that must fail; what it says."""

    def fail(main: Callable[[], Any], *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["stage", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main() if main is cli.main else stage.perform(main)
        said = capsys.readouterr().err.strip().splitlines()
        assert caught.value.code == 1
        assert said[-1].startswith("error: ")
        assert not any("Traceback" in line for line in said)
        return said[-1]

    return fail


def enter(folder: Path, layout: str, annotations: dict[str, str], **more: Any) -> Path:
    """Draws a dataset, enters it into params.yaml as `new`; its root."""
    root = folder / "data/raw/new"
    TASK_LAYOUTS[layout](root)
    kind, task = {"refcoco": ("refcoco", "ground"), "refcoco_parquet": ("refcoco", "ground"),
                  "pixmo_count": ("pixmo_count", "count"), "image_text": ("image_text", "read")}[layout]  # fmt: skip
    params = read_params(folder)
    entry = {"format": kind, "task": task, "root": "data/raw/new", "annotations": annotations, "role": "both"}
    params["datasets"]["new"] = entry | {"licence": "x", "classes": {"*": "object"}, "labels": ["object"]} | more
    params["prompts"]["template"] = None
    write_params(folder, params)
    return root


REFS = {"train": "refs(unc).p#train", "test": "refs(unc).p#val"}
COUNTS = {"train": "data/train-*.parquet", "test": "data/test-*.parquet"}
TEXTS = {"train": "train.parquet", "test": "test.jsonl"}


class Foreign:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


def test_a_pickle_of_a_foreign_class(workspace: Path, sentence: Fail) -> None:
    root = enter(workspace, "refcoco", REFS)
    (root / "refs(unc).p").write_bytes(pickle.dumps([Foreign()], protocol=2))
    said = sentence(ingest.main, "--dataset", "new")
    assert "refs(unc).p: the pickle asks for posix.system, which is no plain container; it is refused" in said


def test_a_pickle_of_a_few_bytes_that_asks_for_all_memory(workspace: Path, sentence: Fail) -> None:
    root = enter(workspace, "refcoco", REFS)
    (root / "refs(unc).p").write_bytes(b"\x80\x02]r" + (2**31 - 1).to_bytes(4, "little") + b".")
    said = sentence(ingest.main, "--dataset", "new")
    assert "it asks for more memory than 9 bytes can fill" in said


def test_a_bbox_column_in_the_wrong_convention(workspace: Path, sentence: Fail) -> None:
    root = enter(workspace, "refcoco_parquet", {"train": "refs.parquet#train", "test": "refs.parquet#val"})
    table = pq.read_table(root / "refs.parquet")
    boxes = [[4.0, 5.0, 20.5, 30.0]] * len(table)
    pq.write_table(table.append_column("bbox", [boxes]), root / "refs.parquet")
    said = sentence(ingest.main, "--dataset", "new")
    assert "refs.parquet: ref 20: bbox is [4.0, 5.0, 20.5, 30.0], the raw annotation's x1 y1 x2 y2 is" in said
    assert said.endswith("it is x y w h")


def test_urls_that_are_all_dead(workspace: Path, sentence: Fail) -> None:
    root = enter(workspace, "pixmo_count", COUNTS, fetch={"tries": 1, "timeout_s": 5.0, "hosts": ["127.0.0.1"]})
    shutil.rmtree(root / "images")
    for path in (root / "data").iterdir():
        rows = [row | {"image_url": "http://127.0.0.1:9/gone"} for row in pq.read_table(path).to_pylist()]
        pq.write_table(pq.read_table(path).from_pylist(rows, pq.read_schema(path)), path)
    said = sentence(cli.main, "fetch-images", "--dataset", "new")
    assert "none of its 6 images could be fetched; fetch_report.json says why" in said
    assert json.loads((root / "fetch_report.json").read_text())["reasons"] == {"no connection": 6}


def test_images_that_nobody_has_fetched(workspace: Path, sentence: Fail) -> None:
    shutil.rmtree(enter(workspace, "pixmo_count", COUNTS) / "images")
    said = sentence(ingest.main, "--dataset", "new")
    assert "data/test-*.parquet hold no image at all, 2 rows were skipped" in said
    assert "are the images there? (of a dataset of URLs: lookout fetch-images)" in said


def test_an_image_of_another_sha256(workspace: Path, sentence: Fail) -> None:
    root = enter(workspace, "pixmo_count", COUNTS)
    first, second = sorted((root / "images").iterdir())[:2]
    shutil.copy(second, first)
    ingest.run("new", Path("data/interim/new"), _entry())
    said = sentence(validate.main, "--dataset", "new")
    assert "1 do not, the first is" in said
    assert "images can be used" in said
    page = next((workspace.parent / "home/validation/new").glob("validation.json")).read_text()
    assert "its bytes are not those whose SHA-256 the annotations state" in page


def _entry() -> Any:
    from components.params.whole import load_params

    return load_params().datasets["new"]


def prompted(dataset: str = "new") -> None:
    """The dataset as ingest and validation leave it, without a validation's seconds."""
    ingest.run(dataset, Path("data/interim") / dataset, _entry())
    shutil.copytree("data/validated/crowd", f"data/validated/{dataset}")


def alone(folder: Path) -> None:
    """Takes the drawn crowd out of the params."""
    params = read_params(folder)
    del params["datasets"]["crowd"]
    write_params(folder, params)


def test_pages_longer_than_the_token_limit(workspace: Path, sentence: Fail) -> None:
    root = enter(workspace, "image_text", TEXTS)
    table = pq.read_table(root / "train.parquet").to_pylist()
    rows = [row | {"text": "many words " * 100} for row in table]
    pq.write_table(pq.read_table(root / "train.parquet").from_pylist(rows), root / "train.parquet")
    prompted()
    alone(workspace)
    said = sentence(prompts.main)
    limit = read_params(workspace)["prompts"]["max_completion_tokens"]
    assert "no sample is left for training or test: 3 of train: gold answer too long" in said
    assert f"for prompts.max_completion_tokens {limit} (" in said


def test_training_counts_without_points_that_are_to_be_pointed_at(workspace: Path, sentence: Fail) -> None:
    root = enter(workspace, "pixmo_count", COUNTS, answer="points")
    shutil.rmtree(root)
    TASK_LAYOUTS["pixmo_count"](root, train_points=False)  # type: ignore[call-arg]
    prompted()
    alone(workspace)
    said = sentence(prompts.main)
    assert "4 of train: a count without points cannot teach to point (answer: number in its entry" in said


def test_a_sentence_that_would_be_read_as_an_image(workspace: Path, sentence: Fail) -> None:
    root = enter(workspace, "image_text", TEXTS)
    rows = [row | {"text": "a <|image_pad|>"} for row in pq.read_table(root / "train.parquet").to_pylist()]
    pq.write_table(pq.read_table(root / "train.parquet").from_pylist(rows), root / "train.parquet")
    prompted()
    alone(workspace)
    assert "3 of train: it holds a control token of the model, like <|image_pad|>" in sentence(prompts.main)


def test_a_prompt_that_does_not_say_what_is_asked_about(workspace: Path, sentence: Fail) -> None:
    enter(workspace, "refcoco", REFS, template="conf/prompts/short.txt")
    prompted()
    said = sentence(prompts.main)
    assert "conf/prompts/short.txt: has no {phrase}, so it cannot ask about 'person 0'" in said
    assert "want conf/prompts/ground.txt, or another that has it, as datasets.new.template" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": "grond"}, "params.yaml: datasets.new.task is 'grond': Input should be 'detect', 'ground', 'count'"),
        ({"answer": "words"}, "params.yaml: datasets.new.answer is 'words': Input should be 'boxes', 'box', 'points'"),
    ],
)
def test_a_task_or_grammar_that_nobody_knows(workspace: Path, sentence: Fail, change: dict, words: str) -> None:
    enter(workspace, "refcoco", REFS, **change)
    assert words in sentence(ingest.main, "--dataset", "new")


def test_a_grammar_that_the_task_lacks(workspace: Path, sentence: Fail) -> None:
    enter(workspace, "refcoco", REFS, answer="points")
    prompted()
    assert "datasets.new.answer is points, but the task ground is answered as box" in sentence(prompts.main)


@pytest.mark.parametrize(
    ("layout", "task", "what"),
    [
        ("refcoco", "count", "counts"),
        ("refcoco", "read", "texts"),
        ("image_text", "ground", "sentences with a box each"),
        ("image_text", "count", "counts"),
    ],
)
def test_a_dataset_without_what_its_task_asks_for(
    workspace: Path, sentence: Fail, layout: str, task: str, what: str
) -> None:
    enter(workspace, layout, REFS if layout == "refcoco" else TEXTS, task=task)
    prompted()
    assert f"datasets.new: its task {task} asks for {what}, which none of its" in sentence(prompts.main)


def test_a_task_for_which_no_reward_is_weighted(workspace: Path, sentence: Fail) -> None:
    shutil.copytree("models/base", "models/sft")
    rows = [row | {"task": "read", "answer_as": "text", "truth_text": "x"}
            for row in read_rows(Path("data/prompts/grpo.parquet"), PROMPTS)]  # fmt: skip
    write_table(Path("data/prompts/grpo.parquet"), PROMPTS, rows)
    said = sentence(grpo.main)
    assert "has no reward that can judge answers as text, which the prompts ask for; give one a weight" in said
