"""Counting, grounding and reading: numbers by hand; an unreadable answer is never right."""

from __future__ import annotations

import pytest

from components.core.boxes import as_boxes
from components.core.completion import ParseFailure
from components.core.grammars.answers import CountAnswer, TextAnswer
from components.core.scene import CountTruth, TextTruth, Truth
from components.metrics import TASK_METRICS
from components.metrics.counting import by_true_count, counting_numbers
from components.metrics.detection import pooled
from components.metrics.grounding import accuracy_by_iou, grounding_numbers
from components.metrics.reading import by_true_length, reading_numbers
from components.metrics.task import Found, Judged, Of
from tests.support.scored import SCORE
from tests.support.strategies import answer_of

NONE = as_boxes([])
FAILED = ParseFailure("bad_json", 0)


def count(said: int) -> CountAnswer:
    return CountAnswer("", NONE, said, None)


def true(number: int) -> CountTruth:
    return CountTruth(number, None, 64, 64)


def test_counting_by_hand() -> None:
    answers, truths = [count(3), count(4), count(9), FAILED, FAILED], [true(3), true(3), true(5), true(2), true(0)]
    numbers = counting_numbers(answers, truths)
    assert numbers.table["exact"] == pytest.approx(0.2)
    assert numbers.table["within_1"] == pytest.approx(0.4)
    assert numbers.table["mae"] == pytest.approx((0 + 1 + 4 + 2 + 0) / 5)
    assert numbers.table["rmse"] == pytest.approx(((1 + 16 + 4) / 5) ** 0.5)
    assert pooled(numbers.counts)["f1"] == numbers.table["exact"]
    rows = by_true_count(answers, truths)
    assert rows[2] == {"count": 3, "samples": 2, "exact": 0.5, "mean_said": 3.5}
    assert rows[0]["exact"] == 0  # nobody there and unreadable is not right


def test_grounding_by_hand() -> None:
    truth = Truth(as_boxes([[0, 0, 10, 10]]), ("x",), NONE, 64, 64)
    answers = [answer_of(as_boxes([box])) for box in ([0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 4], [20, 20, 30, 30])]
    numbers = grounding_numbers([*answers, FAILED], [truth] * 5)
    assert numbers.table == pytest.approx(
        {"accuracy_30": 0.6, "accuracy_50": 0.4, "accuracy_75": 0.2, "accuracy_95": 0.2, "mean_iou": 0.4, "centre": 0.6}
    )
    assert pooled(numbers.counts)["f1"] == numbers.table["accuracy_50"]
    curve = {row["iou"]: row["accuracy"] for row in accuracy_by_iou([*answers, FAILED], [truth] * 5)}
    assert len(curve) == 19
    assert (curve[0.05], curve[0.4], curve[0.5], curve[0.65], curve[0.95]) == (0.6, 0.6, 0.4, 0.2, 0.2)


def test_reading_by_hand() -> None:
    said = [TextAnswer("", NONE, text) for text in ("the cat sat", "the the dog", "", "")]
    truths = [TextTruth("the  cat\nsat"), TextTruth("the cat"), TextTruth("x"), TextTruth(" ")]
    numbers = reading_numbers([*said, FAILED], [*truths, TextTruth("y")])
    # page 2: {the, dog} against {the, cat}; "the the dog" -> "the cat" takes 7 edits of 11 characters
    distance = 7 / 11
    assert numbers.table["edit_distance"] == pytest.approx((0 + distance + 1 + 0 + 1) / 5)
    assert numbers.table["precision"] == pytest.approx((1 + 0.5 + 0 + 1 + 0) / 5)
    assert numbers.table["f1"] == pytest.approx((1 + 0.5 + 0 + 1 + 0) / 5)
    assert numbers.table["exact"] == pytest.approx(0.4)
    assert pooled(numbers.counts)["f1"] == pytest.approx(
        2 * (3 + 1 + 0 + 1) / ((3 + 2 + 0 + 1 + 0) + (3 + 2 + 1 + 1 + 1))
    )


def test_reading_by_length_by_hand() -> None:
    said = [TextAnswer("", NONE, text) for text in ("ab", "xb", "", "a" * 20)]
    truths = [TextTruth("ab"), TextTruth("ab"), TextTruth("abc"), TextTruth("a" * 20), TextTruth("b" * 31)]
    assert by_true_length([*said, FAILED], truths) == [
        {"characters_from": 2, "pages": 2, "edit_distance": 0.25, "exact": 0.5},
        {"characters_from": 3, "pages": 1, "edit_distance": 1.0, "exact": 0.0},
        {"characters_from": 16, "pages": 2, "edit_distance": 0.5, "exact": 0.5},
    ]


def test_precision_is_the_share_of_what_was_said() -> None:
    numbers = reading_numbers([TextAnswer("", NONE, "one")], [TextTruth("one two three four")])
    assert (numbers.table["precision"], numbers.table["recall"]) == (1.0, 0.25)


@pytest.mark.parametrize("numbers", [counting_numbers, grounding_numbers, reading_numbers])
def test_without_samples_every_number_is_undefined(numbers: Of) -> None:
    assert set(numbers([], []).table.values()) == {None}


def test_the_table_of_each_dataset_is_of_its_own_samples() -> None:
    boxes = Found(NONE, (), {})
    judged = [Judged(source, true(3), count(said), boxes, boxes) for source, said in (("a", 3), ("b", 4), ("a", 5))]
    numbers = TASK_METRICS["count"].measure(judged, SCORE)
    assert numbers.datasets is not None
    assert {source: table["exact"] for source, table in numbers.datasets.items()} == {"a": 0.5, "b": 0.0}
    assert numbers.plots["by_true_count"] == by_true_count([count(3), count(4), count(5)], [true(3)] * 3)
