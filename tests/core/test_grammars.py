"""The grammars beside that of boxes: what they read, what they refuse with which reason, and gold that reads back."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.boxes import as_boxes
from components.core.completion import Answer, ParseFailure, parse, read_items
from components.core.envelope import BLOCKS, MAX_CHARS
from components.core.frames import ImageView
from components.core.grammars import GRAMMARS, read_completion
from components.core.grammars.answers import CountAnswer, TextAnswer
from components.core.points import as_points
from components.core.scene import AnyTruth, CountTruth, TextTruth, Truth
from components.core.tasks import TASKS
from components.core.words import Thinking
from tests.support.strategies import HEIGHT, WIDTH, boxes, truth_of

VIEW = ImageView(100, 80)
SHARED = [
    ("", "empty"),
    ("nothing", "structure"),
    ("<answer>4", "truncated"),
    ("<answer>4</answer> indeed", "structure"),
    ("Sure: <answer>4</answer>", "structure"),
    ("<answer>4</answer><answer>4</answer>", "structure"),
    ("<Answer>4</Answer>", "structure"),
    ("<think>four</think><answer>4</answer>", "structure"),
    ("<answer>" + "4" * MAX_CHARS + "</answer>", "too_long"),
]
REFUSED = {
    "box": [
        ("[1,2,3]", "bad_shape"),
        ("[[1,2,3,4]]", "bad_shape"),
        ('[{"bbox_2d":[1,2,3,4],"label":"person"}]', "bad_shape"),
        ("[[1,2,3,4],[1,2,3,4]]", "bad_shape"),
        ('{"box":[1,2,3,4]}', "bad_shape"),
        ("[3,2,1,4]", "bad_box"),
        ("[1,4,3,2]", "bad_box"),
        ("[1,2,1,4]", "bad_box"),
        ("[-1,2,3,4]", "bad_box"),
        ("[1,2,101,4]", "bad_box"),
        ("[1,2,3,81]", "bad_box"),
        ("[1,2,3,true]", "bad_number"),
        ("[1,2,3,NaN]", "bad_number"),
        ("[1,2,3,1e9]", "bad_number"),
        ("1,2,3,4", "bad_json"),
        ("[" * 50, "bad_shape"),
        ("3", "bad_shape"),
    ],
    "points": [
        ("3", "bad_shape"),
        ('{"bbox_2d":[1,2,3,4]}', "bad_shape"),
        ("[[1]]", "bad_shape"),
        ("[1,2]", "bad_shape"),
        ('["one"]', "bad_shape"),
        ('[{"point_2d":[1]}]', "bad_shape"),
        ("[[3,2,1,4]]", "bad_box"),
        ("[[1,false]]", "bad_number"),
        ("[[1,-1e9]]", "bad_number"),
        ("[[1,2]", "bad_json"),
        ("[" + ",".join(["[1,2]"] * 10_001) + "]", "too_many"),
        ("", "bad_json"),
    ],
    "number": [
        (said, "bad_number")
        for said in ("four", "+4", "-1", "04", "4.0", "1000001", "10000000", "", "٤", "4 people", "[[1,2]]",
                     '{"bbox_2d":[1,2,3,4]}')
    ],
}  # fmt: skip


@pytest.mark.parametrize("grammar", ["box", "points", "number", "text"])
@pytest.mark.parametrize(("text", "reason"), SHARED)
def test_the_envelope_is_the_same_for_every_grammar(grammar: str, text: str, reason: str) -> None:
    result = read_completion(grammar, text, VIEW, "none")
    assert isinstance(result, ParseFailure)
    assert result.reason == reason


@pytest.mark.parametrize(("grammar", "said", "reason"), [(g, *one) for g, rows in REFUSED.items() for one in rows])
def test_what_an_answer_may_not_be_has_a_reason(grammar: str, said: str, reason: str) -> None:
    result = read_completion(grammar, f"<answer>{said}</answer>", VIEW, "none")
    assert isinstance(result, ParseFailure), result
    assert result.reason == reason


def test_one_box_reads_as_an_object_or_as_its_four_numbers() -> None:
    for said in ('{"bbox_2d": [10, 20, 30.5, 80]}', "[10,20,30.5,80]"):
        result = read_completion("box", f" <answer>{said}</answer>\n", VIEW, "none")
        assert isinstance(result, Answer)
        assert result.boxes.tolist() == [[10, 20, 30.5, 80]]


def test_points_read_as_pairs_objects_and_boxes_whose_centre_counts() -> None:
    said = '[[1,2], {"point_2d":[3,4],"label":"cat"}, [10,10,20,30], {"bbox_2d":[0,0,4,8]}]'
    result = read_completion("points", f"<answer>{said}</answer>", ImageView(100, 80, "resized", (50, 40)), "none")
    assert isinstance(result, CountAnswer)
    assert result.points is not None
    assert result.points.tolist() == [[2, 4], [6, 8], [30, 40], [4, 8]]
    assert result.count == 4


def test_counts_as_large_as_a_truth_may_be_are_read() -> None:
    result = read_completion("points", "<answer>[" + ",".join(["[1,2]"] * 10_000) + "]</answer>", VIEW, "none")
    assert isinstance(result, CountAnswer)
    for said in (12_865, 1_000_000):
        result = read_completion("number", f"<answer>{said}</answer>", VIEW, "none")
        assert isinstance(result, CountAnswer)
        assert result.count == said


UNWRITABLE = {r"\ud800": "half", r"\uDC00x": "half", r"\u0000": "NUL", r"\u001B[31m": "a terminal's", r"\b": "back",
              r"\u009b": "C1", "\x9b": "C1 as it is", "\x7f": "delete", "\ud800": "half as it is"}  # fmt: skip


@pytest.mark.parametrize("letters", UNWRITABLE, ids=UNWRITABLE.values())
@pytest.mark.parametrize("grammar", ["boxes", "box", "points"])
def test_what_no_file_holds_or_a_terminal_obeys_is_no_json_in_any_grammar(grammar: str, letters: str) -> None:
    item = f'{{"bbox_2d":[1,2,30,40],"label":"a{letters}"}}'
    body = item if grammar == "box" else f"[{item}]"
    result = read_completion(grammar, f"<answer>{body}</answer>", VIEW, "none")
    assert isinstance(result, ParseFailure)
    assert result.reason == "bad_json"
    (cut,) = [result] if grammar != "boxes" else [parse(f"<answer>{body}", VIEW, "none")]
    assert isinstance(cut, ParseFailure)
    assert len(cut.salvaged) == 0
    assert len(read_items(body, VIEW).boxes) == 0


def test_both_halves_of_a_character_and_an_escaped_backslash_are_text() -> None:
    for written, label in ((r"\ud842\udfb7", "𠮷"), (r"\\ud800", r"\ud800"), (r"a\n", "a\n"), ("é🧍", "é🧍")):
        result = parse(f'<answer>[{{"bbox_2d":[1,2,30,40],"label":"{written}"}}]</answer>', VIEW, "none")
        assert isinstance(result, Answer), written
        assert result.labels == (label,)


@pytest.mark.parametrize("grammar", list(GRAMMARS))
def test_half_of_a_character_anywhere_makes_a_completion_unreadable(grammar: str) -> None:
    for text in ("<think>\ud800</think><answer>4</answer>", "<think>t</think><answer>4\udc00</answer>"):
        result = read_completion(grammar, text, VIEW, "think")
        assert isinstance(result, ParseFailure)
        assert result.reason == "bad_json"


@pytest.mark.parametrize(
    "written", ["use <answer> here", "</answer>", "<answer>a</answer>", "<think>x</think>", "<look>"]
)
@pytest.mark.parametrize("thinking", list(BLOCKS))
def test_a_text_that_holds_tags_is_read_as_it_is_written(written: str, thinking: Thinking) -> None:
    result = read_completion("text", gold("text", TextTruth(written), VIEW, thinking), VIEW, thinking)
    assert isinstance(result, TextAnswer)
    assert result.text == written


def test_text_keeps_every_character_that_is_no_tag() -> None:
    result = read_completion("text", '<answer> a <b> "c" \\ </answer>', VIEW, "none")
    assert isinstance(result, TextAnswer)
    assert result.text == ' a <b> "c" \\ '


@pytest.mark.parametrize("thinking", list(BLOCKS))
def test_an_answer_wants_the_blocks_that_the_setting_names_and_no_others(thinking: Thinking) -> None:
    full = {"look": "<think>t</think><look>[[1,2,3,4]]</look>", "think": "<think>t</think>", "none": ""}
    for written, before in full.items():
        result = read_completion("number", f"{before}<answer>4</answer>", VIEW, thinking)
        assert isinstance(result, CountAnswer) == (written == thinking)
        if written == thinking == "look":
            assert isinstance(result, CountAnswer)
            assert (result.think, result.look.tolist()) == ("t", [[1, 2, 3, 4]])


def test_every_task_has_a_grammar_and_every_grammar_a_task() -> None:
    assert {name for task in TASKS.values() for name in task.grammars} == set(GRAMMARS)


def gold(grammar: str, truth: AnyTruth, view: ImageView, thinking: Thinking) -> str:
    text = GRAMMARS[grammar].gold(truth, view, 0.1, thinking)
    assert text is not None
    return text


THINKING = st.sampled_from(sorted(BLOCKS))


@given(boxes(min_count=1, max_count=1), THINKING, st.sampled_from([None, (128, 96), (56, 28)]))
def test_the_gold_box_covers_what_is_meant(found, thinking, size) -> None:
    view = ImageView(WIDTH, HEIGHT) if size is None else ImageView(WIDTH, HEIGHT, "resized", size)
    truth = truth_of(found)
    result = read_completion("box", gold("box", truth, view, thinking), view, thinking)
    assert isinstance(result, Answer)
    assert (result.boxes[0, :2] <= found[0, :2] + 0.01).all()
    assert (result.boxes[0, 2:] >= found[0, 2:] - 0.01).all()


@given(st.lists(st.tuples(st.integers(0, WIDTH), st.integers(0, HEIGHT)), max_size=8), THINKING)
def test_gold_points_and_numbers_read_back(places, thinking) -> None:
    view = ImageView(WIDTH, HEIGHT)
    truth = CountTruth(len(places), as_points(places), WIDTH, HEIGHT)
    result = read_completion("points", gold("points", truth, view, thinking), view, thinking)
    assert isinstance(result, CountAnswer)
    assert result.points is not None
    assert sorted(result.points.tolist()) == sorted([float(x), float(y)] for x, y in places)
    number = read_completion("number", gold("number", truth, view, thinking), view, thinking)
    assert isinstance(number, CountAnswer)
    assert (number.count, number.points) == (len(places), None)


def test_a_count_without_points_cannot_be_taught_by_points() -> None:
    assert GRAMMARS["points"].gold(CountTruth(3, None, 10, 10), VIEW, 0.1, "none") is None


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<>")), THINKING)
def test_gold_text_reads_back(text, thinking) -> None:
    result = read_completion("text", gold("text", TextTruth(text), VIEW, thinking), VIEW, thinking)
    assert isinstance(result, TextAnswer)
    assert result.text == text


def test_random_and_mutated_texts_raise_nothing_in_any_grammar() -> None:
    pick = random.Random(7)
    golds = ["<answer>[1,2,3,4]</answer>", '<answer>[[1,2],{"bbox_2d":[1,2,3,4]}]</answer>', "<answer>17</answer>"]
    pieces = ["<answer>", "</answer>", *'[]{},"-é', "\\", "NaN", "1e400", "9" * 400, "\0", "\ud800"]
    for _ in range(5000):
        text = list(pick.choice(golds)) if pick.random() < 0.8 else []
        for _ in range(pick.randint(1, 6)):
            place = pick.randint(0, len(text))
            text[place : place + pick.randint(0, 4)] = pick.choice(pieces)
        for grammar, one in GRAMMARS.items():
            result = read_completion(grammar, "".join(text), VIEW, "none")
            assert isinstance(result, Answer | CountAnswer | TextAnswer | ParseFailure)
            if isinstance(result, CountAnswer) and result.points is not None:
                assert np.isfinite(result.points).all()
            assert one.truth in (Truth, CountTruth, TextTruth)


def test_boxes_may_be_answered_without_thinking() -> None:
    text = gold("boxes", truth_of(as_boxes([[1, 2, 3, 4]])), ImageView(WIDTH, HEIGHT), "none")
    assert text == '<answer>[{"bbox_2d":[1,2,3,4],"label":"person"}]</answer>'
    result = read_completion("boxes", text, ImageView(WIDTH, HEIGHT), "none")
    assert isinstance(result, Answer)
    assert (result.think, len(result.look), result.boxes.tolist()) == ("", 0, [[1, 2, 3, 4]])
