"""`lookout reward`: numbers by hand, groups that are not neighbours, and one sentence for every bad line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.errors import DataError
from components.params.reading import load_section
from components.params.rewards import RewardsParams
from components.scoring.files.completions import score_file, write_scores
from tests.support.workspace import REPO

A, B = [0, 0, 10, 10], [20, 20, 30, 40]


def text(found: list[list[float]], look: str = "[]", label: str = "person") -> str:
    items = ",".join(json.dumps({"bbox_2d": box, "label": label}) for box in found)
    return f"<think>x</think><look>{look}</look><answer>[{items}]</answer>"


def line(group: str, completion: str, **more: Any) -> dict[str, Any]:
    return {"group": group, "completion": completion, "width": 40, "height": 40, "truth": [A, B]} | more


def score(folder: Path, *lines: dict[str, Any] | str) -> list[dict[str, Any]]:
    path = folder / "completions.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines) + "\n")
    return list(score_file(path, load_section(RewardsParams, REPO / "params.yaml")))


def test_interleaved_groups_keep_the_order_of_the_lines_and_their_own_index(tmp_path: Path) -> None:
    lines = [
        line("a", text([A])),
        line("b", text([A, B])),
        line("a", text([])),
        line("a", "nope"),
        line("b", text([B])),
    ]
    scores = score(tmp_path, *lines)
    assert [(row["group"], row["index"]) for row in scores] == [("a", 0), ("b", 0), ("a", 1), ("a", 2), ("b", 1)]
    assert [row["precision_recall"] for row in scores] == [0.6666667, 1.0, 0.0, 0.0, 0.6666667]  # q / ((n + m) / 2)
    assert [row["failure"] for row in scores] == [None, None, None, "structure", None]
    assert scores[3]["reasoning"] == 0.0
    # person A is found by 1 of a's 2 parsed: v = 1; an empty look earns 2 * 0 / (0 + 1)
    assert [row["looking_instances"] for row in scores[:4]] == [0.0, 0.0, 0.0, 0.0]
    assert [row["looking"] for row in scores] == [None] * 5  # fewer than three parsed
    weights = load_section(RewardsParams, REPO / "params.yaml").weights
    assert scores[1]["total"] == pytest.approx(weights["reasoning"] + weights["precision_recall"])


def test_a_look_at_the_doubtful_person_earns_all(tmp_path: Path) -> None:
    # B is found by one of two: v_B = 1, v_A = 0; looking at B alone 2 * 1 / (1 + 1), at both 2 * 1 / (2 + 1)
    scores = score(tmp_path, line("a", text([A], "[[15,15,40,40]]")), line("a", text([A, B], "[[0,0,40,40]]")))
    assert [row["looking_instances"] for row in scores] == [1.0, 0.6666667]


def test_every_frame_gives_the_same_score(tmp_path: Path) -> None:
    half = text([[value / 2 for value in B]])
    thousandths = text([[value * 25 for value in B]])
    scores = score(
        tmp_path,
        line("o", text([B])),
        line("r", half, frame="resized", model_size=[20, 20]),
        line("k", thousandths, frame="relative_1000"),
    )
    assert len({row["precision_recall"] for row in scores}) == 1


def test_labels_and_ignore_regions_count(tmp_path: Path) -> None:
    scores = score(
        tmp_path,
        line("a", text([A], label="dog"), truth=[A], truth_labels=["dog"]),
        line("b", text([A], label="dog"), truth=[A]),
        line("c", text([A, B]), truth=[A], ignore=[B]),
    )
    assert [row["precision_recall"] for row in scores] == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("{", r"completions.jsonl:2: not a JSON object on one line"),
        ("[" * 100_000, r":2: not a JSON object on one line"),
        ("[]", r":2: Input should be a valid dictionary"),
        (line("a", "x", widht=4), r":2: widht is not a parameter"),
        (line("a", "x", truth=[[0, 0, 10]]), r":2: truth.0 is \[0, 0, 10\]"),
        (line("a", "x", truth=[[10, 0, 5, 5]]), r":2: .*truth holds the box \[10.0, 0.0, 5.0, 5.0\].*is this xywh"),
        (line("a", "x", truth=[[0, 0, 1e300, 5]]), r":2: truth.0.2 is 1e\+300"),
        (line("a", "x", truth_labels=["person"]), r":2: .*1 truth_labels for 2 truth boxes"),
        (line("a", "x", frame="resized"), r":2: .*needs model_size"),
        (line("a", "x", width=0), r":2: width is 0"),
        (line("a", "x", width=True), r":2: width is True"),
        (line("first", "x", width=50), r":2: width of group 'first' differs from line 1"),
    ],
)
def test_a_bad_line_is_one_sentence(tmp_path: Path, bad: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        score(tmp_path, line("first", "x"), bad)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no completions"):
        score(tmp_path, "")


def test_the_command_writes_a_file_or_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps(line("a", text([A, B]))) + "\n")
    command = [sys.executable, "-m", "components.cli.main", "reward", "--completions", str(path)]
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    shown = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=True).stdout
    out = tmp_path / "out.jsonl"
    subprocess.run([*command, "--output", str(out)], cwd=REPO, env=environment, capture_output=True, check=True)
    assert out.read_text() == shown
    assert json.loads(shown)["precision_recall"] == 1.0
    missing = subprocess.run(
        [*command[:-1], "nowhere.jsonl"], cwd=REPO, env=environment, capture_output=True, text=True, check=False
    )
    assert missing.returncode == 1
    assert missing.stderr == "error: nowhere.jsonl cannot be read: No such file or directory\n"


def said(task: str, inside: str, **more: Any) -> dict[str, Any]:
    return {"group": task, "completion": f"<answer>{inside}</answer>", "width": 100, "height": 100, "task": task} | more


def test_every_task_is_scored_by_its_own_rewards(tmp_path: Path) -> None:
    scores = score(
        tmp_path,
        said("ground", "[30,10,70,50]", truth=[[10, 10, 50, 50]]),
        said("count", "[[20,20],[50,50]]", truth_points=[[20, 20], [50, 50], [80, 20]]),
        said("count", "5", group="n", answer="number", truth_count=4),
        said("read", "kitten", truth_text="sitting"),
        said("detect", '[{"bbox_2d":[0,0,10,10],"label":"person"}]', group="d", thinking="none", truth=[A]),
    )
    known = ("group", "index", "total", "failure", "reasoning")
    own = [{name: value for name, value in row.items() if name not in known} for row in scores]
    assert own == [
        {"grounding": 0.11111111},
        {"counting": 0.6666667, "counting_number": 0.25},
        {"counting_number": 0.25},
        {"ocr": 0.5714286},
        {"precision_recall": 1.0, "perception_r1": 1.0},
    ]
    assert all(row["reasoning"] == 1.0 for row in scores)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (said("ground", "x", truth=[A, B]), "wants one truth box, got 2"),
        (said("count", "x", truth=[A]), r"the task count wants truth_count or truth_points, got \['truth'\]"),
        (said("read", "x"), "the task read wants truth_text, got none"),
        (said("count", "x", truth_points=[[1, 2]], truth_count=3), "truth_count is 3, but there are 1 truth_points"),
        (said("read", "x", truth_text="x", answer="points"), "is answered as text, not points"),
        (said("guess", "x"), "task is 'guess'"),
    ],
)
def test_a_line_with_another_tasks_truth_is_one_sentence(tmp_path: Path, bad: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        score(tmp_path, bad)


def test_the_scores_are_never_written_onto_the_completions(tmp_path: Path) -> None:
    completions = tmp_path / "said.jsonl"
    completions.write_text("x")
    (tmp_path / "link.jsonl").symlink_to(completions)
    for output in (completions, tmp_path / "link.jsonl"):
        with pytest.raises(DataError, match="holds the completions that are scored, and would be lost"):
            write_scores("y", output, completions)
    with pytest.raises(DataError, match="cannot be written"):
        write_scores("y", tmp_path, completions)
    assert completions.read_text() == "x"
