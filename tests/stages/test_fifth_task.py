"""A task that the product does not know, "are there more than N people?": an entry a layer, and every stage has it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from components.core.boxes import Boxes
from components.core.completion import ParseFailure
from components.core.envelope import Bad, Span, wrapped
from components.core.frames import ImageView
from components.core.grammars import GRAMMARS, Grammar, of_block
from components.core.grammars.answers import TextAnswer
from components.core.scene import TextTruth
from components.core.tasks import TASKS, TaskNames
from components.core.words import Thinking
from components.errors import ParamsError
from components.metrics import TASK_METRICS
from components.metrics.task import TaskMetric, TaskNumbers, of_answers, of_one
from components.params.datasets import check_entry
from components.params.rewards import RewardsParams
from components.params.whole import load_params
from components.prompting.questions import TASK_QUESTIONS, Question, ScenePart, TaskQuestions
from components.report.tasks import TASK_PAGES, TaskPage
from components.rewards import REWARDS, RewardFactory, collapse_signs
from components.rewards.reward import per_answer
from components.scoring.files.completions import score_file
from components.scoring.files.task_answers import score_answers
from components.store.samples import READING_COLUMNS, read_sample
from components.store.schemas.prompts import PROMPTS
from components.store.tables import read_rows
from components.study.columns import columns_of
from components.training.group_rewards import GroupRewards, check_rewards
from tests.report.test_tasks_page import page_of


# core: how it is answered
def read(text: str, span: Span, view: ImageView, think: str, look: Boxes) -> TextAnswer:
    del view
    said = text[slice(*span)].strip()
    if said not in ("yes", "no"):
        raise Bad("bad_shape", span[0])
    return TextAnswer(think, look, said)


def gold(truth: TextTruth, view: ImageView, look_iou: float, thinking: Thinking) -> str:
    del view, look_iou
    return wrapped(thinking, "I have counted.", "[]", truth.text)


YES_NO = Grammar(of_block(read), gold, TextTruth, "yes or no", (str,))
NAMES = TaskNames(("yes_no",), ("saying",), asks_of_boxes=True)


# prompting: what is asked, and what is true
def ask(scene: ScenePart, dataset: object) -> list[Question]:
    del dataset
    return [Question(TextTruth("yes" if len(scene.boxes) > 3 else "no"), "more than 3 people")]


# rewards: what is paid
SAYING = RewardFactory(
    lambda params: per_answer(TextAnswer, TextTruth, lambda said, true: float(said.text == true.text)),
    frozenset({"yes_no"}),
)


# metrics: what is measured
def numbers(answers: Sequence[Any], truths: Sequence[Any]) -> TaskNumbers:
    pairs = zip(answers, truths, strict=True)
    right = [isinstance(said, TextAnswer) and said.text == true.text for said, true in pairs]
    return TaskNumbers({"right": sum(right) / len(right) if right else None}, [of_one(one) for one in right])


METRIC = TaskMetric("right answers", of_answers(numbers))


# report: what is shown
PAGE = TaskPage(
    "Crowded or not",
    "An answer is right where it is the true one.",
    lambda sample, image, boxes: f"says {image['answer_text']}, {sample['truth_text']} is true",
    lambda sample: f"{sample['phrase']}?",
    {"right": "tasks.crowded.numbers.right"},
)


@pytest.fixture
def crowded(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task under its name in each layer's table."""
    monkeypatch.chdir(prepared)
    template = tmp_path / "crowded.txt"
    template.write_text("Are there {phrase}? Write {format}.")
    monkeypatch.setitem(TASKS, "crowded", NAMES)
    monkeypatch.setitem(GRAMMARS, "yes_no", YES_NO)
    monkeypatch.setitem(TASK_QUESTIONS, "crowded", TaskQuestions(ask, "boxes", {"yes_no": template}))
    monkeypatch.setitem(REWARDS, "saying", SAYING)
    monkeypatch.setitem(TASK_METRICS, "crowded", METRIC)
    monkeypatch.setitem(TASK_PAGES, "crowded", PAGE)


@pytest.mark.usefixtures("crowded")
def test_a_fifth_task_is_asked_paid_scored_and_shown(prepared: Path, tmp_path: Path) -> None:
    page = page_of(prepared, tmp_path, {"task": "crowded"})  # two of its answers are another task's
    rows = list(read_rows(tmp_path / "prompts/test.parquet", PROMPTS))
    texts = [row["completion"][0]["content"] for row in rows]
    assert rows[0]["prompt"][0]["content"] == "Are there more than 3 people? Write <answer>yes or no</answer>."
    assert set(texts) == {"<answer>yes</answer>", "<answer>no</answer>"}
    assert isinstance(read_sample("<answer>perhaps</answer>", rows[0]), ParseFailure)

    weights = {"weights": {"reasoning": 0.5, "saying": 1.0}}
    params = RewardsParams.model_validate(load_params().rewards.model_dump() | weights)
    check_rewards(params, ["yes_no"])
    said = [texts[0], "<answer>perhaps</answer>"]
    rewards = GroupRewards(params, 2, decode=lambda tokens: said[tokens[0]])
    columns = {name: [rows[0][name]] * 2 for name in READING_COLUMNS}
    found = {one.__name__: one(completions=said, completion_ids=[[0], [1]], **columns) for one in rewards.functions()}
    assert found == {"reasoning": [1.0, 0.0], "saying": [1.0, 0.0]}
    assert collapse_signs({}, {"reasoning": 1.0, "saying": 0.0}) == [
        "the format reward is high while the accuracy reward is near zero"
    ]

    metrics = json.loads((tmp_path / "scores/grpo/metrics.json").read_text())
    assert metrics["headline"]["name"] == "right answers"
    assert metrics["failures"] == {"bad_shape": 2}
    assert metrics["tasks"]["crowded"]["numbers"] == {"right": 6 / 8}
    assert [column.title for column in columns_of(metrics).columns] == ["right", "format rate", "tokens an answer"]

    assert "<h1>Crowded or not</h1>" in page
    assert "Numbers of the task crowded" in page
    assert f"says {rows[2]['truth_text']}, {rows[2]['truth_text']} is true" in page
    assert "<br>more than 3 people?" in page


@pytest.mark.usefixtures("crowded")
def test_a_fifth_task_may_stand_in_params_and_in_anybodys_files(tmp_path: Path) -> None:
    entry = load_params().datasets["crowd"].model_dump()
    assert check_entry(entry | {"task": "crowded", "answer": "yes_no"}).task == "crowded"
    with pytest.raises(ParamsError, match=r"task is 'grond': Input should be .*'read' or 'crowded'"):
        check_entry(entry | {"task": "grond"})
    truth, said, lines = (tmp_path / name for name in ("truth.jsonl", "said.jsonl", "lines.jsonl"))
    truth.write_text('{"id": 1, "truth_text": "yes"}\n{"id": 2, "truth_text": "no"}\n')
    said.write_text('{"id": 1, "answer": "yes"}\n{"id": 2, "completion": "<answer>yes</answer>"}\n')
    assert score_answers("crowded", truth, said)["numbers"] == {"right": 0.5}
    line = {"group": 1, "completion": "<answer>no</answer>", "width": 9, "height": 9, "task": "crowded"}
    lines.write_text(json.dumps(line | {"truth_text": "no"}))
    (scored,) = score_file(lines, load_params().rewards)
    assert (scored["reasoning"], scored["saying"]) == (1.0, 1.0)
