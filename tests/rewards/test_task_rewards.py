"""Grounding, counting, OCR and Perception-R1's detection: numbers by hand, properties, and tricks that must not pay."""

from __future__ import annotations

import time
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.boxes import as_boxes
from components.core.completion import ParseFailure
from components.core.frames import ImageView
from components.core.grammars import GRAMMARS, read_completion
from components.core.grammars.answers import CountAnswer, TextAnswer
from components.core.points import as_points
from components.core.scene import CountTruth, TextTruth, Truth
from components.core.tasks import reward_names
from components.core.text import plain
from components.metrics.reading import reading_numbers
from components.params.reading import load_section
from components.params.rewards import RewardsParams
from components.rewards import REWARDS, chosen_reading, judges, make_rewards, without_accuracy
from tests.support.strategies import HEIGHT, WIDTH, answer_of, boxes, stacked, truth_of

NO_BOXES = as_boxes([])
VIEW = ImageView(100, 100)
PARAMS = load_section(RewardsParams)


def params(**sections: Any) -> RewardsParams:
    return PARAMS.model_copy(update=sections)


def score(name: str, answers: list[Any], truth: Any, **sections: Any) -> list[float]:
    return REWARDS[name](params(**sections))(answers, truth).tolist()


def said(grammar: str, answer: str) -> Any:
    return read_completion(grammar, f"<answer>{answer}</answer>", VIEW, "none")


# --- grounding


MEANT = Truth(as_boxes([[10, 10, 50, 50]]), ("object",), NO_BOXES, 100, 100)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("[10,10,50,50]", 1.0),
        ("[30,10,70,50]", 1 / 9),
        ("[0,0,100,100]", 0.0256),
        ("[10,10,50,30]", 0.25),
        ("[50,10,90,50]", 0.0),
        ("[[10,10,50,50],[10,10,50,50]]", 0.0),
        ("[50,50,10,10]", 0.0),
        ("[10,10,50,150]", 0.0),
    ],
)
def test_grounding_pays_the_square_of_the_overlap(answer: str, wanted: float) -> None:
    assert score("grounding", [said("box", answer)], MEANT) == pytest.approx([wanted])


def test_the_other_readings_of_grounding() -> None:
    group = [said("box", "[30,10,70,50]"), said("box", "[10,10,50,38]")]
    for reading, wanted in (("iou", [1 / 3, 0.7]), ("iou_gated", [0.0, 0.7]), ("iou_squared", [1 / 9, 0.49])):
        chosen = params().grounding.model_copy(update={"reading": reading})
        assert score("grounding", group, MEANT, grounding=chosen) == pytest.approx(wanted)


@given(boxes(min_count=1, max_count=1))
def test_naming_the_whole_image_earns_the_square_of_its_share_at_most(meant) -> None:
    whole = answer_of(as_boxes([[0, 0, WIDTH, HEIGHT]]))
    share = float(np.prod(meant[0, 2:] - meant[0, :2])) / (WIDTH * HEIGHT)
    (paid,) = score("grounding", [whole], truth_of(meant))
    assert paid == pytest.approx(share**2)


# --- counting by points


def people(places: list[list[float]], size: int = 100) -> CountTruth:
    return CountTruth(len(places), as_points(places), size, size)


def pointing(places: Any) -> CountAnswer:
    points = as_points(places)
    return CountAnswer("", NO_BOXES, len(points), points)


THREE = [[20.0, 20.0], [50.0, 50.0], [80.0, 20.0]]


@pytest.mark.parametrize(
    ("places", "wanted"),
    [
        (THREE, 1.0),
        (THREE[:2], 2 / 3),
        ([*THREE, [5.0, 95.0]], 3 / 4),
        ([*THREE, THREE[0]], 3 / 4),
        ([[50.0, 50.0]] * 3, 0.2),
        ([], 0.0),
    ],
)
def test_counting_by_points_by_hand(places: list[list[float]], wanted: float) -> None:
    assert score("counting", [pointing(places)], people(THREE)) == pytest.approx([wanted])


def test_silence_is_right_only_where_nobody_is() -> None:
    assert score("counting", [pointing([]), pointing(THREE)], people([])) == [1.0, 0.0]


def test_half_the_radius_away_is_as_good_as_there_and_the_radius_itself_earns_nothing() -> None:
    radius = 0.1 * np.hypot(100, 100)
    shifted = [pointing([[50 + part * radius, 50]]) for part in (0.5, 0.75, 1.0)]
    # similarity .5 of one pair: .5 / (1 + 1 - .5)
    assert score("counting", shifted, people([[50.0, 50.0]])) == pytest.approx([1.0, 1 / 3, 0.0], abs=1e-6)


def test_the_radius_shrinks_in_a_crowd() -> None:
    crowd = [[float(x), float(y)] for x in range(5, 100, 10) for y in range(5, 60, 10)]
    assert len(crowd) == 60
    moved = pointing([[x + 3.0, y] for x, y in crowd])
    radius = 0.1 * np.hypot(100, 100) * np.sqrt(10 / 60)
    similarity = 60 * 2 * (1 - 3 / radius)
    assert score("counting", [moved], people(crowd)) == pytest.approx([similarity / (120 - similarity)], abs=1e-5)


def test_a_truth_without_points_is_not_scored_by_points_but_by_number() -> None:
    truth = CountTruth(3, None, 100, 100)
    assert np.isnan(score("counting", [pointing(THREE)], truth)).all()
    assert score("counting_number", [pointing(THREE)], truth) == [1.0]


@pytest.mark.parametrize(
    ("true", "answer", "wanted"),
    [(4, "4", 1.0), (4, "5", 0.25), (4, "6", 0.0), (20, "21", 0.375), (20, "17", 0.125), (20, "24", 0.0),
     (4, "four", 0.0), (4, "+4", 0.0), (0, "0", 1.0)],
)  # fmt: skip
def test_counting_by_number_by_hand(true: int, answer: str, wanted: float) -> None:
    assert score("counting_number", [said("number", answer)], CountTruth(true, None, 9, 9)) == pytest.approx([wanted])


PLACES = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=7)


@given(PLACES, PLACES, st.randoms())
def test_the_order_of_points_is_irrelevant_and_gold_earns_one(true, found, pick) -> None:
    truth, shuffled = people([[float(x), float(y)] for x, y in true]), list(found)
    pick.shuffle(shuffled)
    one, other, gold = score("counting", [pointing(found), pointing(shuffled), pointing(true)], truth)
    assert one == pytest.approx(other)
    assert gold == 1.0
    assert 0 <= one <= 1


@given(PLACES.filter(bool), st.integers(0, 6))
def test_a_point_said_twice_in_a_whole_answer_never_pays(true, which) -> None:
    truth = people([[float(x), float(y)] for x, y in true])
    once, twice = score("counting", [pointing(true), pointing([*true, true[which % len(true)]])], truth)
    assert twice < once


# --- tricks that pay elsewhere


def random_people(count: int, seed: int) -> list[list[float]]:
    return np.random.default_rng(seed).uniform(5, 95, (count, 2)).tolist()


def blind(count: int) -> list[list[float]]:
    """A regular grid of `count` points that looks at no image."""
    side = int(np.ceil(np.sqrt(count)))
    cells = [[(i % side + 0.5) * 100 / side, (i // side + 0.5) * 100 / side] for i in range(count)]
    return cells


@pytest.mark.parametrize("count", [3, 10, 50, 200])
def test_a_blind_grid_of_the_right_number_earns_far_less_than_an_honest_answer(count: int) -> None:
    """min/max count times mean distance pays blind points .69 to .81; a fixed radius pays them .57 to .89 in crowds."""
    tricks, honest = [], []
    for seed in range(10):
        true = random_people(count, seed)
        shaky = np.array(true[: round(0.8 * count)]) + np.random.default_rng(seed).normal(0, 1, (round(0.8 * count), 2))
        trick, fair = score("counting", [pointing(blind(count)), pointing(shaky)], people(true))
        tricks.append(trick)
        honest.append(fair)
    assert np.mean(tricks) < 0.35
    assert np.mean(honest) > 0.55


def test_the_best_constant_guess_of_a_number_earns_less_than_a_third() -> None:
    """1 - |d| / g pays it .59."""
    counts = range(2, 11)  # PixMo-Count's test counts
    for guess in range(12):
        answer = [said("number", str(guess))]
        paid = [score("counting_number", answer, CountTruth(true, None, 9, 9)) for true in counts]
        assert np.mean(paid) < 1 / 3


def test_pointing_everywhere_earns_next_to_nothing() -> None:
    (paid,) = score("counting", [pointing(blind(1000))], people(random_people(8, 1)))
    assert paid < 0.02


def test_a_right_answer_of_any_count_earns_1_and_so_many_points_that_nobody_meant_earn_0() -> None:
    crowd = as_points(np.random.default_rng(0).uniform(0, 1000, (1100, 2)))
    truth = CountTruth(1100, crowd, 1000, 1000)
    assert score("counting", [CountAnswer("", NO_BOXES, 1100, crowd)], truth) == [1.0]
    assert score("counting_number", [said("number", "12865")], CountTruth(12_865, None, 9, 9)) == [1.0]
    many = as_points(np.full((1001, 2), 500.0))
    assert score("counting", [CountAnswer("", NO_BOXES, 1001, many)], CountTruth(500, crowd[:500], 1000, 1000)) == [0.0]


# --- OCR


LINE = "The quick brown fox jumps over the lazy dog, twice."


def reading(*texts: str, true: str) -> list[float]:
    return score("ocr", [TextAnswer("", NO_BOXES, text) for text in texts], TextTruth(true))


def test_ocr_by_hand() -> None:
    assert reading("kitten", true="sitting") == pytest.approx([4 / 7])
    assert len(LINE) == 51
    # 51 edits of 102 characters; of the doubled line's 93 runs of ten, 42 stand there a second time
    assert reading(LINE + LINE, true=LINE) == pytest.approx([0.2742], abs=5e-5)


def test_repeating_a_common_word_earns_nothing() -> None:
    page = " ".join(f"the {word}" for word in (f"word{n}" for n in range(100)))
    (paid,) = reading("the " * 225, true=page)
    assert paid < 0.002


def test_a_text_of_combining_marks_is_compared_in_linear_time() -> None:
    """NFC alone takes 9 s for it."""
    marks = "a" + "\u0301" * 20_000 + "\u0323" * 20_000
    said, true = [TextAnswer("", NO_BOXES, marks)], [TextTruth("hello")]
    reading_numbers([TextAnswer("", NO_BOXES, "x")], true)  # the libraries of the metric load in seconds
    begun = time.perf_counter()
    assert reading(marks, true="hello") == [0.0]
    assert reading(marks, true=marks) == [1.0]
    assert reading_numbers(said, true).table["exact"] == 0.0
    assert time.perf_counter() - begun < 2
    assert plain("e" + "\u0323\u0301" * 15) == unicodedata.normalize("NFC", "e" + "\u0323\u0301" * 15)
    assert reading("a" + "\u0301" * 500, true="a")[0] == 0.0  # none is forgotten


def test_white_space_and_unicode_forms_do_not_count_and_silence_pays_only_on_an_empty_page() -> None:
    assert reading(" caf\u00e9\n au  lait", true="cafe\u0301 au lait") == [1.0]
    assert reading("", "x", true=" \n") == [1.0, 0.0]
    assert reading("", true="x") == [0.0]


def test_a_text_that_is_too_long_earns_nothing() -> None:
    true = "abcdefghij" * 2
    assert reading(true + "z" * 52, true=true)[0] > 0
    assert reading(true + "z" * 53, true=true) == [0.0]


def test_text_that_repeats_in_the_truth_may_repeat_in_the_answer() -> None:
    assert reading(f"{LINE} {LINE}", true=f"{LINE} {LINE}") == [1.0]


@given(st.text(), st.text(max_size=60))
def test_ocr_is_bounded_and_the_true_text_earns_one_unless_it_cannot_be_told_from_repetition(true, found) -> None:
    gold, other = reading(true, found, true=true)
    assert gold == 1.0
    assert 0 <= other <= 1


@given(
    st.text(
        st.characters(codec="ascii", exclude_characters=" \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f"), min_size=10, max_size=80
    )
)
def test_saying_the_text_twice_never_pays(true) -> None:
    once, twice = reading(true, f"{true} {true}", true=true)
    assert twice < once


# --- detection as Perception-R1 has it


A, B = [0, 0, 10, 10], [20, 20, 30, 40]


def r1(answer: Any, truth: Truth, **weights: float) -> float:
    chosen = params().perception_r1.model_copy(update=weights)
    return score("perception_r1", [answer], truth, perception_r1=chosen)[0]


def test_perception_r1_by_hand() -> None:
    truth = Truth(as_boxes([A, B]), ("cat", "dog"), NO_BOXES, 64, 48)
    one = answer_of(as_boxes([A]), label="cat")
    # F1 2/3; recall 1/2 times IoU 1; recall 1/2 times label 1
    assert r1(one, truth) == pytest.approx((2 / 3 + 1 / 2 + 1 / 2) / 3)
    both = answer_of(as_boxes([A, B]), label="dog")
    assert r1(both, truth) == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert r1(both, truth, f1=0.0, iou=0.0) == pytest.approx(0.5)
    assert r1(answer_of(NO_BOXES), truth) == 0.0
    assert r1(answer_of(NO_BOXES), truth_of(NO_BOXES)) == 1.0
    assert r1(one, truth_of(NO_BOXES)) == 0.0


def test_one_perfect_box_of_twenty_pays_less_than_an_honest_attempt() -> None:
    crowd = as_boxes([[40 * i, 0, 40 * i + 20, 20] for i in range(20)])
    truth = Truth(crowd, ("person",) * 20, NO_BOXES, 900, 48)
    timid = r1(answer_of(as_boxes(crowd[:1])), truth)
    honest = r1(answer_of(as_boxes([[40 * i + 3, 0, 40 * i + 20, 20] for i in range(12)])), truth)
    assert timid < 0.1
    assert honest > 0.5


@given(boxes(min_count=1), st.integers(0, 5))
def test_a_copy_in_a_whole_answer_never_pays_and_gold_earns_one(found, which) -> None:
    copy = as_boxes(found[which % len(found)][None])
    gold = r1(answer_of(found), truth_of(found))
    assert gold == pytest.approx(1.0)
    assert r1(answer_of(stacked(found, copy)), truth_of(found)) < gold


# --- all of them


TRUTHS = [
    truth_of(as_boxes([[1, 2, 3, 4]])),
    truth_of(NO_BOXES),
    people(THREE),
    CountTruth(2, None, 9, 9),
    TextTruth("x"),
]
ANSWERS = [
    answer_of(as_boxes([[1, 2, 3, 4]])), answer_of(NO_BOXES), pointing(THREE), pointing([]),
    CountAnswer("", NO_BOXES, 3, None), TextAnswer("", NO_BOXES, "x"), ParseFailure("bad_json", 0),
]  # fmt: skip


@pytest.mark.parametrize("name", list(REWARDS))
@pytest.mark.parametrize("truth", TRUTHS)
def test_every_reward_takes_every_answer_and_truth_and_pays_an_answer_of_another_task_nothing(name, truth) -> None:
    scores = np.array(score(name, ANSWERS, truth))
    assert ((scores >= 0) & (scores <= 1) | np.isnan(scores)).all()
    kinds = {GRAMMARS[grammar].truth for grammar in REWARDS[name].grammars or GRAMMARS}
    if REWARDS[name].accuracy and type(truth) in kinds and not np.isnan(scores).any():
        own = [{Truth: 0, CountTruth: 2, TextTruth: 5}[type(truth)]]
        others = [i for i in range(len(ANSWERS)) if type(ANSWERS[i]) is not type(ANSWERS[own[0]])]
        assert scores[others].tolist() == [0.0] * len(others)


def test_the_names_that_params_know_are_those_of_the_table() -> None:
    readings = {chosen_reading(name, params()) for name in reward_names()} | {"looking_instances"}
    assert readings == set(REWARDS)
    assert all((factory.grammars or set()) <= set(GRAMMARS) for factory in REWARDS.values())


def test_an_answer_that_no_weighted_reward_holds_against_the_truth_is_found() -> None:
    assert without_accuracy({"reasoning": 1.0, "counting": 1.0}, ["points", "text", "text"]) == ["text"]
    assert without_accuracy({"reasoning": 1.0, "ocr": 0.0}, ["text"]) == ["text"]
    assert without_accuracy({"precision_recall": 1.0}, ["boxes"]) == []
    assert judges("looking", "boxes", "look")
    assert not judges("looking", "boxes", "none")
    assert not judges("ocr", "points", "none")
    assert list(make_rewards(params(weights={"ocr": 1.0}))) == ["ocr"]
