"""`lookout score --task`: anybody's answers by hand; what does not fit is one sentence and exit code 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from components.cli.main import app
from components.errors import DataError
from components.params.whole import load_params
from components.scoring.files.task_answers import score_answers, table
from components.store.schemas.prompts import PROMPTS
from components.store.tables import read_rows
from tests.cli.test_cli import lookout
from tests.stages.test_tasks import asked, count_entry

COUNTS = [{"id": 1, "truth_count": 3}, {"id": "b", "truth_points": [[1, 2], [3, 4]]}, {"id": 3, "truth_count": 0}]
SAID = [{"id": "b", "answer": [[5, 5], [6, 6]]}, {"id": 3, "answer": 1}, {"id": 1, "answer": 3}]
TREE = {"id": "tree", "truth": [[10, 10, 50, 50]], "width": 100, "height": 100}


def file(folder: Path, name: str, content: Any) -> Path:
    """A list is written as JSON Lines where the name says so, else as JSON; a string as it stands."""
    path = folder / name
    if name.endswith(".jsonl") and not isinstance(content, str):
        content = "\n".join(json.dumps(row) for row in content) + "\n"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def scored(folder: Path, task: str, truth: Any, said: Any, name: str = "said.jsonl") -> dict[str, Any]:
    return score_answers(task, file(folder, "truth.jsonl", truth), file(folder, name, said))


def replaced(place: int, **values: Any) -> list[dict[str, Any]]:
    return [{"id": row["id"]} | values if i == place else row for i, row in enumerate(SAID)]


@pytest.mark.parametrize("name", ["said.jsonl", "said.json"])
def test_counts_by_hand_as_points_or_numbers_in_any_order(tmp_path: Path, name: str) -> None:
    scores = scored(tmp_path, "count", COUNTS, SAID, name)
    # 3 of 3, two points of two, one of none
    assert scores["numbers"] == pytest.approx({"exact": 2 / 3, "within_1": 1, "mae": 1 / 3, "rmse": (1 / 3) ** 0.5})
    assert (scores["task"], scores["samples"], scores["format_rate"], scores["failures"]) == ("count", 3, 1.0, {})
    assert scores["headline"] == {"name": "exact counts", "value": pytest.approx(2 / 3), "interval": [0.0, 1.0]}


def test_boxes_by_hand_in_the_frame_that_the_truth_names(tmp_path: Path) -> None:
    thousandths = TREE | {"id": 2, "width": 200, "frame": "relative_1000"}
    said = [{"id": "tree", "answer": {"bbox_2d": [10, 10, 50, 30]}}, {"id": 2, "answer": "[50, 100, 250, 500]"}]
    scores = scored(tmp_path, "ground", [TREE, thousandths], said)
    assert scores["numbers"]["mean_iou"] == pytest.approx((0.5 + 1) / 2)
    assert scores["headline"]["value"] == 1.0


def test_texts_by_hand(tmp_path: Path) -> None:
    truth = [{"id": 1, "truth_text": "the cat"}, {"id": 2, "truth_text": "7"}, {"id": 3, "truth_text": "x"}]
    said = [{"id": 1, "answer": "the dog"}, {"id": 2, "answer": "7"}, {"id": 3, "answer": ""}]
    scores = scored(tmp_path, "read", truth, said)
    assert scores["numbers"]["precision"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert scores["headline"]["value"] == pytest.approx(2 * (1 + 1 + 0) / ((2 + 1 + 0) + (2 + 1 + 1)))
    assert scores["notes"][0] == "words end at white space"
    assert "note: words end at white space" in table(scores)


def test_right_counts_of_any_size_are_right(tmp_path: Path) -> None:
    hall = [[x * 6, y * 30] for x in range(100) for y in range(15)]
    truth = [{"id": "crowd", "truth_count": 12_865}, {"id": "hall", "truth_points": hall}]
    said = [{"id": "crowd", "answer": 12_865}, {"id": "hall", "answer": hall}]
    raw = [{"id": row["id"], "completion": f"<answer>{json.dumps(row['answer'])}</answer>"} for row in said]
    for answers in (said, raw):
        numbers = scored(tmp_path, "count", truth, answers)["numbers"]
        assert (numbers["exact"], numbers["mae"]) == (1.0, 0.0)
    with pytest.raises(DataError, match=r"truth\.jsonl:1: truth_count is 1000001: .* 1000000"):
        scored(tmp_path, "count", [{"id": "x", "truth_count": 1_000_001}], [{"id": "x", "answer": 1}])


def test_a_text_that_holds_our_own_tags_is_right_where_it_equals_the_truth(tmp_path: Path) -> None:
    texts = ["write <answer> first", "</answer> <answer>", "<answer>4</answer>"]
    truth = [{"id": i, "truth_text": text} for i, text in enumerate(texts)]
    said = [{"id": i, "answer": text} for i, text in enumerate(texts)]
    assert scored(tmp_path, "read", truth, said)["numbers"]["exact"] == 1.0


HALF = "\ud800"
HALVES = [
    ("read", {"truth_text": "x"}, {"answer": HALF}),
    ("read", {"truth_text": "x"}, {"completion": f"<answer>{HALF}</answer>"}),
    ("count", {"truth_count": 1}, {"answer": HALF}),
    ("count", {"truth_count": 1}, {"answer": [{"point_2d": [1, 2], "label": HALF}]}),
    ("ground", {k: v for k, v in TREE.items() if k != "id"}, {"completion": f"<answer>{HALF}</answer>"}),
]  # fmt: skip


@pytest.mark.parametrize(("task", "truth", "said"), HALVES)
def test_half_of_a_character_is_an_unreadable_answer_or_a_sentence_never_a_traceback(
    tmp_path: Path, task: str, truth: dict[str, Any], said: dict[str, Any]
) -> None:
    files = [file(tmp_path, name, [{"id": HALF} | row]) for name, row in (("t.jsonl", truth), ("p.jsonl", said))]
    answer = CliRunner().invoke(
        app, ["score", "--task", task, "--truth", str(files[0]), "--predictions", str(files[1])]
    )
    assert isinstance(answer.exception, DataError) or "unreadable: 1 bad_json" in answer.output, answer.output


def test_half_of_a_character_in_a_truth_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"t\.jsonl:1: truth_text is '\\ud800': U\+D800 at character 0 is half of a char"
    ):
        score_answers("read", file(tmp_path, "t.jsonl", [{"id": 1, "truth_text": HALF}]), tmp_path / "none")


def test_what_cannot_be_read_is_counted_and_never_right(tmp_path: Path) -> None:
    said = [
        {"id": 1, "completion": "<answer>3</answer>"},
        {"id": "b", "completion": "two, I think"},
        {"id": 3, "answer": None},
    ]
    scores = scored(tmp_path, "count", COUNTS, said)
    assert scores["failures"] == {"structure": 1, "empty": 1}
    assert scores["numbers"]["exact"] == pytest.approx(1 / 3)
    outside = scored(tmp_path, "ground", [TREE], [{"id": "tree", "answer": [10, 10, 50, 200]}])
    assert outside["failures"] == {"bad_box": 1}


def test_the_thoughts_of_a_completion_are_those_that_the_truth_names(tmp_path: Path) -> None:
    thought = {"id": 1, "completion": "<think>three</think><answer>3</answer>"}
    assert scored(tmp_path, "count", COUNTS[:1], [thought])["failures"] == {"structure": 1}
    assert scored(tmp_path, "count", [COUNTS[0] | {"thinking": "think"}], [thought])["failures"] == {}


def test_prompts_are_a_truth(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepared)
    prompts = asked(load_params(), tmp_path / "prompts", {"thinking": "none"}, crowd=count_entry())
    rows = list(read_rows(prompts, PROMPTS))
    said = [{"id": row["sample_id"], "completion": row["completion"][0]["content"]} for row in rows]
    said[0] = {"id": rows[0]["sample_id"], "answer": []}
    said[1] = {"id": rows[1]["sample_id"], "answer": rows[1]["truth_points"]}
    scores = score_answers("count", prompts, file(tmp_path, "said.jsonl", said))
    assert rows[0]["truth_count"] > 0
    assert scores["numbers"]["exact"] == pytest.approx(1 - 1 / len(rows))
    with pytest.raises(DataError, match="asks nothing of the task read; is it another --task"):
        score_answers("read", prompts, file(tmp_path, "said.jsonl", said))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            [1, 2, 3, 4],
            r"answer is \[1, 2, 3, 4\], want \[\[x,y\], ...\] or N for the task count; .*of the task ground: is",
        ),
        ({"bbox_2d": [1, 2, 3, 4]}, "an answer of the task ground: is it another --task"),
        ([[1, 2], [3]], "what a model wrote word for word goes into completion"),
        ("three", "answer is 'three', .* an answer of the task read: is it another --task"),
        (3.0, "answer is 3.0, want"),
        (True, "answer is True, want"),
        ({"count": 3}, "what a model wrote word for word goes into completion"),
    ],
)
def test_an_answer_in_another_tasks_grammar_is_one_sentence(tmp_path: Path, answer: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=rf"said.jsonl:2: .*{sentence}"):
        scored(tmp_path, "count", COUNTS, replaced(1, answer=answer))


@pytest.mark.parametrize(
    ("task", "truth", "answer", "sentence"),
    [
        ("ground", TREE, [[1, 2], [3, 4]], "for the task ground; it is an answer of the task count"),
        ("ground", TREE, 3, "for the task ground; it is an answer of the task count"),
        ("ground", TREE, "a tree", "for the task ground; it is an answer of the task read"),
        ("read", {"id": "tree", "truth_text": "x"}, 3, "want the text for the task read; .* of the task count"),
        ("read", {"id": "tree", "truth_text": "x"}, [1, 2, 3, 4], "want the text for the task read"),
        ("count", {"id": "tree", "truth_count": 1, "answer": "number"}, [[1, 1]], "want N for the task count"),
    ],
)
def test_each_task_refuses_the_others_answers(
    tmp_path: Path, task: str, truth: dict[str, Any], answer: Any, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        scored(tmp_path, task, [truth], [{"id": "tree", "answer": answer}])


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            replaced(1, id=99, answer=1),
            r"said.jsonl:2 answers the unknown id 99; .*truth.jsonl has ids such as 1: do the",
        ),
        (replaced(2, id="1", answer=3), "answers the unknown id '1'"),
        (replaced(1, id="b", answer=1), r"said.jsonl:2 repeats the id 'b'"),
        (SAID[:1], r"does not answer 2 of the 3 ids of .*truth.jsonl, first 1; a model that said nothing"),
        (replaced(1), "want either answer or completion"),
        (replaced(1, answer=1, completion="x"), "want either answer or completion"),
        (replaced(1, anser=1), "anser is not a parameter; is it mistyped"),
        ([{"answer": 3}], "said.jsonl:1: id is missing"),
        ('{"id": 1, "answer": 3}\nhello\n', r"said.jsonl:2 is not a JSON object on one line"),
        (
            "hello",
            r"said.jsonl:1 is not a JSON object on one line .*; want a JSON list of objects, or an object a line",
        ),
        ("[1, 2", r"said.jsonl is not a JSON list"),
        ("[5]", r"said.jsonl\[0\] is 5; want an object with an id"),
        ("[" * 100_000, "is not a JSON list"),
        (" \n", "said.jsonl is empty"),
        ("\ufeff{}", "byte order mark"),
    ],
)
def test_predictions_that_do_not_fit_are_one_sentence(tmp_path: Path, said: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        scored(tmp_path, "count", COUNTS, said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("task", "truth", "sentence"),
    [
        ("count", [COUNTS[0], COUNTS[0]], r"truth.jsonl:2 repeats the id 1; want one line of truth a question"),
        ("count", [TREE], r"the task count wants truth_count or truth_points, got \['truth'\]"),
        ("count", [COUNTS[0] | {"task": "read", "truth_text": "x"}], "read wants truth_text, got"),
        (
            "count",
            [{"id": 1, "task": "read", "truth_text": "x"}],
            "is of the task read, want count; is it another --task",
        ),
        ("ground", [{"id": 1, "truth": [[0, 0, 1, 1]]}], "wants width and height of the image in pixels"),
        ("ground", [TREE | {"truth": [[5, 5, 1, 1]]}], "is this xywh"),
        ("read", "[]", "asks nothing of the task read"),
    ],
)
def test_a_truth_that_does_not_hold_is_one_sentence(tmp_path: Path, task: str, truth: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        scored(tmp_path, task, truth, SAID)


def test_the_command_prints_a_table_or_json_and_fails_with_code_1(tmp_path: Path) -> None:
    truth, said = file(tmp_path, "truth.jsonl", COUNTS), file(tmp_path, "said.json", SAID)
    arguments = ["score", "--task", "count", "--truth", str(truth), "--predictions", str(said)]
    printed = CliRunner().invoke(app, arguments).stdout
    assert printed.splitlines()[:2] == [
        "count: 3 questions, 1.0000 of the answers readable",
        "exact counts              0.6667  (0.0000 to 1.0000, 95 % bootstrap)",
    ]
    assert "  mae                     0.3333" in printed
    assert json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout) == score_answers("count", truth, said)
    said.write_text("[")
    failed = lookout(tmp_path, *arguments)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"error: {said} is not a JSON list")
    assert failed.stderr.count("\n") == 1
    other = lookout(tmp_path, *arguments, "--lenient")
    assert other.stderr == (
        "error: --lenient, --protocol, --min-score and --shuffles are of the task detect; leave them out for count\n"
    )
