"""Tasks through prompts, rewards and scores: a drawn crowd that is counted instead of boxed, alone and together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from components.core.completion import ParseFailure
from components.core.grammars import GRAMMARS
from components.core.tasks import TASKS, reward_names
from components.errors import DataError, ParamsError, QualityError
from components.metrics import TASK_METRICS
from components.params.datasets import DatasetParams
from components.params.prompts import PromptParams
from components.params.rewards import RewardsParams
from components.params.whole import Params, load_params
from components.prompting import build as prompts_stage
from components.prompting.questions import TASK_QUESTIONS
from components.report.tasks import TASK_PAGES
from components.rewards import REWARDS, without_accuracy
from components.scoring import score
from components.sources import ingest
from components.store.samples import READING_COLUMNS, read_sample
from components.store.schemas.ingested import SCENES
from components.store.schemas.prompts import PROMPTS
from components.store.schemas.scores import DETECTIONS, PER_IMAGE
from components.store.tables import read_rows, write_table
from components.training.group_rewards import GroupRewards, check_rewards
from tests.sources.test_refcoco import layout as refcoco_layout
from tests.support.scored import SCORE, gold_lines, write_lines


@pytest.fixture
def params(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(prepared)
    return load_params()


@pytest.fixture
def twice(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A workspace in which the same images are a second dataset, `counted`."""
    folder = tmp_path / "workspace"
    shutil.copytree(prepared, folder, symlinks=True)
    monkeypatch.chdir(folder)
    params = load_params()
    ingest.run("counted", Path("data/interim/counted"), params.datasets["crowd"])
    shutil.copytree("data/validated/crowd", "data/validated/counted")
    return params


def asked(params: Params, out: Path, changes: dict[str, Any], **datasets: dict[str, Any]) -> Path:
    """Prompts of the drawn crowd under other entries; the folder."""
    entries = {name: params.datasets["crowd"].model_copy(update=entry) for name, entry in datasets.items()}
    changed: PromptParams = params.prompts.model_copy(update={"template": None} | changes)
    prompts_stage.run(Path("models/base"), out, entries, changed)
    return out / "test.parquet"


def count_entry(**more: Any) -> dict[str, Any]:
    return {"task": "count"} | more


def test_a_crowd_is_counted_by_the_middles_of_its_boxes(params: Params, tmp_path: Path) -> None:
    prompts = asked(params, tmp_path, {"thinking": "none"}, crowd=count_entry())
    for row in read_rows(prompts, PROMPTS):
        assert (row["task"], row["answer_as"], row["thinking"]) == ("count", "points", "none")
        assert row["truth_count"] == len(row["truth_points"])
        text = row["completion"][0]["content"]
        assert text.startswith("<answer>[[") or text == "<answer>[]</answer>"
        asking = row["prompt"][0]["content"]
        assert asking == "Point at every person in the image, one point each. Write <answer>[[x,y], ...]</answer>"
        assert not isinstance(read_sample(text, row), ParseFailure)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["tasks"] == {"crowd": "count as points"}


def test_a_number_is_asked_for_where_the_entry_says_so(params: Params, tmp_path: Path) -> None:
    prompts = asked(params, tmp_path, {"thinking": "think"}, crowd=count_entry(answer="number"))
    row = next(read_rows(prompts, PROMPTS))
    number = row["truth_count"]
    assert row["completion"][0]["content"] == f"<think>I see {number}.</think><answer>{number}</answer>"
    assert row["prompt"][0]["content"].endswith("<think>what you see</think><answer>N</answer>, N in digits.")
    with pytest.raises(
        ParamsError, match=r"datasets.crowd.answer is text, but the task count is answered as points or"
    ):
        asked(params, tmp_path, {}, crowd=count_entry(answer="text"))


def test_gold_counts_score_one_and_what_is_wrong_is_counted(params: Params, tmp_path: Path) -> None:
    prompts = asked(params, tmp_path, {"thinking": "none"}, crowd=count_entry())
    lines = gold_lines(prompts)
    metrics = score.run("gold", prompts, write_lines(tmp_path / "gold", lines), tmp_path / "scores", SCORE)
    assert metrics["headline"]["name"] == "exact counts"
    assert metrics["headline"]["value"] == metrics["tasks"]["count"]["numbers"]["exact"] == 1.0
    assert "detection" not in metrics
    lines[0]["text"] = "<answer>3</answer>"  # another task's grammar
    lines[1]["text"] = "<answer>[" + ",".join(["[1,1]"] * 50) + "]</answer>"
    metrics = score.run("bad", prompts, write_lines(tmp_path / "bad", lines), tmp_path / "scores", SCORE)
    assert metrics["failures"] == {"bad_shape": 1}
    assert metrics["headline"]["value"] == pytest.approx(6 / 8)
    rows = list(read_rows(tmp_path / "scores/per_image.parquet", PER_IMAGE))
    assert (rows[0]["failure"], rows[0]["answer_count"]) == ("bad_shape", None)
    assert (rows[1]["answer_count"], len(rows[1]["answer_points"]), rows[1]["matched_count"]) == (50, 50, 0)
    header = (tmp_path / "scores/plots/by_true_count.csv").read_text().splitlines()[0]
    assert header == "count,samples,exact,mean_said"


def test_two_tasks_are_scored_each_by_its_own_metric(twice: Params, tmp_path: Path) -> None:
    prompts = asked(twice, tmp_path, {}, crowd={}, counted=count_entry())
    lines = write_lines(tmp_path / "gold", gold_lines(prompts))
    metrics = score.run("gold", prompts, lines, tmp_path / "scores", SCORE)
    assert {task: one["samples"] for task, one in metrics["tasks"].items()} == {"detect": 4, "count": 4}
    assert metrics["tasks"]["detect"]["numbers"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert set(metrics["headline"]["name"].split(", ")[0].split(" and ")) == {"F1 at .5", "exact counts"}
    assert metrics["images"] == 8
    people = sum(len(row["truth_boxes"]) for row in read_rows(prompts, PROMPTS))
    assert len(list(read_rows(tmp_path / "scores/detections.parquet", DETECTIONS))) == people


def test_a_reward_scores_the_samples_that_it_can_judge_and_no_others(twice: Params, tmp_path: Path) -> None:
    prompts = asked(twice, tmp_path, {}, crowd={}, counted=count_entry())
    weights = {"reasoning": 0.5, "looking": 0.1, "precision_recall": 1.0, "counting": 1.0}
    samples = [row for row in read_rows(prompts, PROMPTS) for _ in range(2)]
    texts = [row["completion"][0]["content"] for row in samples]
    chosen = twice.rewards.model_copy(update={"weights": weights})
    rewards = GroupRewards(chosen, 2, decode=lambda tokens: texts[tokens[0]])
    ids = [[place] for place in range(len(texts))]
    columns = {name: [row[name] for row in samples] for name in READING_COLUMNS}
    functions = {function.__name__: function for function in rewards.functions()}
    scores = {name: one(completions=texts, completion_ids=ids, **columns) for name, one in functions.items()}
    for place, row in enumerate(samples):
        found = {name: one[place] for name, one in scores.items()}
        own, other = ("counting", "precision_recall") if row["task"] == "count" else ("precision_recall", "counting")
        assert found["reasoning"] == found[own] == 1.0
        assert found[other] is None
    totals = [row["total"] for group in rewards.groups for row in group]
    assert totals == pytest.approx([1.5] * 16)


def test_a_task_that_no_weighted_reward_judges_is_one_sentence(params: Params) -> None:
    only: RewardsParams = params.rewards.model_copy(update={"weights": {"reasoning": 1.0, "ocr": 1.0}})
    check_rewards(only, ["text"])
    with pytest.raises(ParamsError, match="has no reward that can judge answers as points, which the prompts ask for"):
        check_rewards(only, ["text", "points"])


@pytest.mark.parametrize(
    ("task", "what"), [("ground", "asks for sentences with a box each"), ("read", "asks for texts")]
)
def test_a_dataset_without_what_its_task_asks_for_is_one_sentence(
    params: Params, tmp_path: Path, task: str, what: str
) -> None:
    sentence = (
        f"datasets.crowd: its task {task} {what}, which none of its 44 images has; is crowdhuman the right format"
    )
    with pytest.raises(DataError, match=sentence):
        asked(params, tmp_path, {}, crowd={"task": task})


def test_every_task_has_an_entry_in_each_layer() -> None:
    assert set(TASKS) == set(TASK_QUESTIONS) == set(TASK_METRICS) == set(TASK_PAGES)
    assert set(reward_names()) | {"looking_instances"} == set(REWARDS)
    for name, task in TASKS.items():
        assert set(TASK_QUESTIONS[name].templates) == set(task.grammars) <= set(GRAMMARS)
        assert without_accuracy(dict.fromkeys(task.rewards, 1.0), task.grammars) == []
        assert bool(task.tables) == TASK_METRICS[name].ranked
    assert DatasetParams.model_fields["task"].default in TASKS


def test_sentences_are_asked_scored_and_their_gold_boxes_found(prepared: Path, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(prepared, folder, symlinks=True)
    monkeypatch.chdir(folder)
    dataset = refcoco_layout(folder / "data/raw/refs")
    ingest.run("refs", Path("data/interim/refs"), dataset)
    shutil.copytree("data/validated/crowd", "data/validated/refs")  # nothing is quarantined in it
    settings = load_params().prompts.model_copy(update={"template": None, "thinking": "none"})
    prompts_stage.run(Path("models/base"), tmp_path, {"refs": dataset}, settings)
    rows = list(read_rows(tmp_path / "test.parquet", PROMPTS))
    assert len(rows) == 2 * 3
    assert len({row["sample_id"] for row in rows}) == 6
    for row in rows:
        assert row["prompt"][0]["content"].startswith(
            f"Find the one thing in the image that this describes: {row['phrase']}"
        )
        assert row["truth_labels"] == [row["phrase"]]
    lines = write_lines(tmp_path / "gold", gold_lines(tmp_path / "test.parquet"))
    metrics = score.run("gold", tmp_path / "test.parquet", lines, tmp_path / "scores", SCORE)
    assert metrics["headline"] == {"name": "accuracy at IoU .5", "value": 1.0, "interval": [1.0, 1.0]}
    assert len(list(read_rows(tmp_path / "scores/detections.parquet", DETECTIONS))) == 6


def test_training_images_of_a_held_out_set_stop_the_stage_or_are_left_out_by_rule(
    twice: Params, tmp_path: Path
) -> None:
    evaluated = twice.datasets["crowd"].model_copy(update={"role": "eval"})
    scenes = Path("data/interim/counted/scenes.parquet")
    rows = [row | {"split": "test" if row["split"] == "train" else "val"} for row in read_rows(scenes, SCENES)]
    write_table(scenes, SCENES, rows)
    entries = {"crowd": twice.datasets["crowd"], "counted": evaluated}
    with pytest.raises(
        QualityError, match=r"datasets\.crowd: training images are held out in val or test \(same-file 32"
    ):
        prompts_stage.run(Path("models/base"), tmp_path, entries, twice.prompts)
    entries["crowd"] = entries["crowd"].model_copy(update={"leakage": "drop"})
    with pytest.raises(DataError, match="no sample is left for training"):
        prompts_stage.run(Path("models/base"), tmp_path, entries, twice.prompts)
