"""The three rewards: numbers by hand, and what must hold for any boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.boxes import as_boxes
from components.core.completion import ParseFailure
from components.core.coverage import coverages, disagreement_map
from components.core.matching import candidate_ious, match_greedy, match_optimal
from components.params.rewards import RewardsParams
from components.rewards import REWARDS, make_rewards, weighted_total
from tests.support.strategies import HEIGHT, WIDTH, answer_of, boxes, stacked, truth_of

FAILED = ParseFailure("bad_json", 0)


def params(**changes: object) -> RewardsParams:
    accuracy = {"tau": 0.5, "precision_weight": 0.5, "mean": "harmonic", "quality": "iou", "matching": "optimal"}
    return RewardsParams.model_validate(
        {
            "weights": {"reasoning": 0.2, "looking": 0.3, "precision_recall": 1.0},
            "looking": {"grid": 8, "reading": "map"},
            "precision_recall": accuracy | changes,
        }
    )


def accuracy(found, people, ignore=None, **changes: object) -> float:
    reward = REWARDS["precision_recall"](params(**changes))
    return float(reward([answer_of(as_boxes(found))], truth_of(as_boxes(people), ignore))[0])


A, B = [0, 0, 10, 10], [20, 20, 30, 40]


def test_one_of_two_found_is_two_thirds() -> None:
    assert accuracy([A], [A, B]) == pytest.approx(2 / 3)


def test_one_extra_box_is_two_thirds_too() -> None:
    assert accuracy([A, B], [A]) == pytest.approx(2 / 3)


def test_precision_weight_moves_the_denominator() -> None:
    assert accuracy([A], [A, B], precision_weight=0.3) == pytest.approx(1 / (0.3 * 1 + 0.7 * 2))


def test_the_arithmetic_mean_pays_timidity_and_the_harmonic_does_not() -> None:
    people = [[40 * i, 0, 40 * i + 20, 20] for i in range(20)]
    truth = truth_of(as_boxes(people))
    truth = type(truth)(truth.boxes, truth.labels, truth.ignore, 900, 48)
    timid, bold = answer_of(as_boxes(people[:1])), answer_of(as_boxes([*people[:9], *[[0, 30, 9, 40]] * 11]))
    arithmetic = REWARDS["precision_recall"](params(mean="arithmetic"))([timid, bold], truth)
    harmonic = REWARDS["precision_recall"](params())([timid, bold], truth)
    assert arithmetic[0] > arithmetic[1]
    assert harmonic[0] < harmonic[1]


def test_quality_hit_counts_matches_whatever_their_iou() -> None:
    near = [0, 0, 10, 8]
    assert accuracy([near], [A], quality="hit") == 1.0
    assert accuracy([near], [A]) == pytest.approx(0.8)


def test_silence_pays_only_in_an_empty_scene() -> None:
    assert accuracy([], []) == 1.0
    assert accuracy([], [A]) == 0.0
    assert accuracy([A], []) == 0.0


def test_a_box_in_an_ignore_region_changes_nothing() -> None:
    assert accuracy([A, B], [A], ignore=as_boxes([B])) == 1.0
    assert accuracy([B], [], ignore=as_boxes([B])) == 1.0


def test_a_wrong_label_counts_against_and_case_does_not() -> None:
    reward, truth = REWARDS["precision_recall"](params()), truth_of(as_boxes([A]))
    scores = reward([answer_of(as_boxes([A]), label=" PERSON "), answer_of(as_boxes([A]), label="dog")], truth)
    assert scores.tolist() == [1.0, 0.0]


def test_greedy_matching_loses_a_pair_where_two_cross() -> None:
    people = as_boxes([[0, 0, 10, 10], [0, 2, 10, 12]])
    found = as_boxes([[0, 1, 10, 11], [0, 0, 10, 9]])
    ious = candidate_ious(found, ("p", "p"), people, ("p", "p"))
    assert len(match_optimal(ious, 0.8)) == 2
    assert len(match_greedy(ious, 0.8)) == 1


def test_most_pairs_come_before_most_iou() -> None:
    ious = np.array([[0.9, 0.5], [0.5, 0.0]])
    assert len(match_optimal(ious, 0.5)) == 2  # 0.5 + 0.5 beats 0.9
    ious = np.array([[1.0, 0.4], [0.4, 0.0]])
    assert len(match_optimal(ious, 0.4)) == 1
    assert len(match_optimal(ious, 0.4, most_pairs=True)) == 2


@given(boxes(min_count=1))
def test_gold_earns_one(people) -> None:
    truth, gold = truth_of(people), answer_of(people)
    assert REWARDS["precision_recall"](params())([gold], truth)[0] == pytest.approx(1.0, abs=1e-6)
    assert REWARDS["reasoning"](params())([gold], truth)[0] == 1.0


@given(boxes(min_count=1), st.integers(0, 5))
def test_an_exact_copy_in_a_whole_answer_never_pays(people, which) -> None:
    """Where a person is still unfound, a copy may stand for a second person in the same place: that is no exploit."""
    copy = as_boxes(people[which % len(people)][None])
    reward, truth = REWARDS["precision_recall"](params()), truth_of(people)
    plain, copied = reward([answer_of(people), answer_of(stacked(people, copy))], truth)
    assert copied < plain


@given(boxes(), boxes(), st.randoms())
def test_the_order_of_boxes_is_irrelevant(people, found, pick) -> None:
    order = list(range(len(found)))
    pick.shuffle(order)
    reward, truth = REWARDS["precision_recall"](params()), truth_of(people)
    one, other = reward([answer_of(found), answer_of(as_boxes(found[order]))], truth)
    assert one == pytest.approx(other, abs=1e-6)


@settings(max_examples=60)
@given(boxes(), st.lists(st.tuples(boxes(), boxes(max_count=2)), min_size=2, max_size=5), st.integers(0, 2))
def test_every_reward_is_in_the_unit_interval_or_not_scored(people, answers, failures) -> None:
    group = [answer_of(found, look) for found, look in answers] + [FAILED] * failures
    for make in REWARDS.values():
        scores = make(params())(group, truth_of(people))
        assert scores.dtype == np.float32
        assert scores.shape == (len(group),)
        inside = (scores >= 0) & (scores <= 1 + 1e-6)
        assert (inside | np.isnan(scores)).all()


def test_coverage_is_an_exact_fraction() -> None:
    cells = coverages([as_boxes([[0, 0, 12, 6]])], 64, 48, 8)[0]  # cells of 8 x 6
    assert cells[0].tolist() == [1.0, 0.5, 0, 0, 0, 0, 0, 0]
    assert cells.sum() == 1.5


LOOK = as_boxes([[0, 0, 8, 6]])  # one cell


def looking(*answers, people=((0, 0, 8, 6),)) -> list[float]:
    return REWARDS["looking"](params())(list(answers), truth_of(as_boxes(list(people)))).tolist()


def test_looking_where_the_others_disagree_pays_and_looking_elsewhere_does_not() -> None:
    found, nothing, elsewhere = LOOK, as_boxes([]), as_boxes([[40, 30, 48, 36]])
    # of the others of the first two, half see somebody in the cell: disagreement 1 there
    scores = looking(
        answer_of(found, LOOK), answer_of(found, elsewhere), answer_of(found), answer_of(nothing), answer_of(nothing)
    )
    assert scores[0] == pytest.approx(1.0)
    assert scores[1] == 0.0
    # others of the last: three of four see somebody: variance 3/16, disagreement 0.75, no look: 0
    assert scores[4] == 0.0


def test_dice_by_hand_where_three_of_four_others_agree() -> None:
    scores = looking(*[answer_of(LOOK)] * 3, answer_of(as_boxes([])), answer_of(as_boxes([]), LOOK))
    # the last one's others: three of four -> U = 4 * 3/16 = 0.75; dice = 2 * 0.75 / (1 + 0.75)
    assert scores[4] == pytest.approx(1.5 / 1.75)


def test_a_group_that_agrees_is_not_scored() -> None:
    assert np.isnan(looking(*[answer_of(LOOK, LOOK)] * 4)).all()


def test_a_group_of_which_two_parsed_is_not_scored_failures_included() -> None:
    assert np.isnan(looking(answer_of(LOOK), answer_of(as_boxes([])), FAILED, FAILED)).all()


def test_a_failure_scores_zero_beside_readable_answers() -> None:
    scores = looking(answer_of(LOOK), answer_of(LOOK), answer_of(as_boxes([])), answer_of(as_boxes([])), FAILED)
    assert scores[4] == 0.0


def test_looking_instances_by_hand() -> None:
    people = as_boxes([[0, 0, 8, 6], [40, 30, 48, 36]])
    both, first = answer_of(people, as_boxes([[38, 28, 50, 40]])), answer_of(as_boxes(people[:1]), LOOK)
    scores = REWARDS["looking_instances"](params())([both, first], truth_of(people))
    # v = (0, 1): the first look holds the doubtful person alone: 2 * 1 / (1 + 1); the second holds the sure one: 0
    assert scores.tolist() == [1.0, 0.0]


def test_the_map_for_pictures_is_over_the_whole_group() -> None:
    picture = disagreement_map([answer_of(LOOK), answer_of(as_boxes([]))], truth_of(as_boxes([])), 8)
    assert picture.dtype == np.float16
    assert picture[0, 0] == 1.0
    assert picture.sum() == 1.0


def test_the_total_is_the_weighted_sum_of_what_is_scored() -> None:
    scores = {"a": np.array([1, 0.5], np.float32), "b": np.array([np.nan, 1], np.float32)}
    assert weighted_total(scores, {"a": 2.0, "b": 0.5}).tolist() == [2.0, 1.5]


def test_the_reading_of_looking_is_chosen_by_params() -> None:
    @dataclass(frozen=True)
    class Instances:
        grid: int = 8
        reading: str = "instances"

    people = as_boxes([[0, 0, 8, 6], [40, 30, 48, 36]])
    group = [answer_of(people, as_boxes([[38, 28, 50, 40]])), answer_of(as_boxes(people[:1]), LOOK)]
    chosen = make_rewards(params().model_copy(update={"looking": Instances()}))
    assert chosen["looking"][0] == 0.3
    assert chosen["looking"][1](group, truth_of(people)).tolist() == [1.0, 0.0]
    assert np.isnan(make_rewards(params())["looking"][1](group, truth_of(people))).all()  # the map wants three


assert (WIDTH, HEIGHT) == (64, 48)  # the hand-computed cells above are 8 x 6 pixels
