"""Whose box counts, how samples are shared between datasets, and what fits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.params.datasets import DatasetParams
from components.prompting.budget import person_heights, pixels_factor, token_budget
from components.prompting.choice import chosen, quotas
from components.prompting.truth import truth_of

NONE = {f"{kind}_{key}": None for kind in ("visible", "head") for key in ("x1", "y1", "x2", "y2")}
BOX = {"x1": 1.0, "y1": 1.0, "x2": 9.0, "y2": 9.0, "label": "person", "ignore": False} | NONE
HALF = {"visible_x1": 1.0, "visible_y1": 1.0, "visible_x2": 5.0, "visible_y2": 9.0}


def dataset(**changes: Any) -> DatasetParams:
    values = {"format": "x", "root": "r", "annotations": {"train": "a"}, "role": "both", "licence": "-"}
    return DatasetParams.model_validate(values | changes)


def test_people_to_ignore_and_people_outside_are_not_asked_for() -> None:
    boxes = [BOX, BOX | {"ignore": True}, BOX | {"x1": 70.0, "x2": 80.0}, BOX | {"x2": 90.0}]
    truth = truth_of(boxes, 64, 48, dataset())
    assert truth.boxes.tolist() == [[1, 1, 9, 9], [1, 1, 64, 9]]
    assert truth.ignore.tolist() == [[1, 1, 9, 9]]
    assert truth.visible_frac is not None
    assert (truth.visible_frac == 1).all()


def test_the_box_that_counts_is_the_datasets_choice_and_who_has_none_is_ignored() -> None:
    truth = truth_of([BOX | HALF, BOX], 64, 48, dataset(box="visible"))
    assert truth.boxes.tolist() == [[1, 1, 5, 9]]
    assert truth.ignore.tolist() == [[1, 1, 9, 9]]
    assert truth.visible_frac is not None
    assert truth.visible_frac.tolist() == [0.5]
    assert len(truth_of([BOX | HALF, BOX], 64, 48, dataset(box="head")).boxes) == 0


def test_a_person_whose_box_has_no_area_in_the_image_is_ignored_not_lost() -> None:
    flat, outside = ({f"head_{key}": at for key in ("x1", "y1", "x2", "y2")} for at in (5.0, 500.0))
    outside |= {"head_x2": 520.0, "head_y2": 520.0}
    truth = truth_of([BOX | flat, BOX | outside], 64, 48, dataset(box="head"))
    assert len(truth.boxes) == 0
    assert truth.ignore.tolist() == [[1, 1, 9, 9], [1, 1, 9, 9]]


def test_words_map_to_labels_and_the_rest_is_ignored() -> None:
    boxes = [BOX | {"label": word} for word in ("pedestrian", "rider", "tram")]
    truth = truth_of(boxes, 64, 48, dataset(classes={"pedestrian": "person", "rider": "person", "tram": "ignore"}))
    assert truth.labels == ("person", "person")
    assert len(truth.ignore) == 1


def test_quotas_follow_the_weights_and_what_is_missing_goes_to_the_others() -> None:
    assert quotas({"a": 100, "b": 100}, {"a": 3.0, "b": 1.0}, 40) == {"a": 30, "b": 10}
    assert quotas({"a": 10, "b": 100}, {"a": 3.0, "b": 1.0}, 40) == {"a": 10, "b": 30}
    assert quotas({"a": 5, "b": 5}, {"a": 1.0, "b": 1.0}, 100) == {"a": 5, "b": 5}
    assert quotas({"a": 5, "b": 5, "c": 0}, {"a": 1.0, "b": 1.0, "c": 9.0}, 1) == {"a": 1, "b": 0, "c": 0}


@given(
    st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 50), st.floats(0.01, 100)), min_size=1),
    st.integers(0, 150),
)
def test_quotas_give_as_many_as_there_are_and_no_more(sets: dict[str, tuple[int, float]], total: int) -> None:
    available = {name: count for name, (count, _) in sets.items()}
    given_out = quotas(available, {name: weight for name, (_, weight) in sets.items()}, total)
    assert sum(given_out.values()) == min(total, sum(available.values()))
    assert all(given_out[name] <= available[name] for name in available)


def test_the_same_rows_are_chosen_again_within_cap_and_quota() -> None:
    rows = [{"source": name, "scene_id": str(n), "n": n} for name in "ab" for n in range(20)]
    weights = {"a": 1.0, "b": 1.0}
    first = chosen(rows, 10, (3, 5), weights, {})
    assert first == chosen(rows, 10, (3, 5), weights, {})
    assert first != chosen(rows, 10, (4, 5), weights, {})
    assert sorted(row["source"] for row in first) == ["a"] * 5 + ["b"] * 5
    capped = chosen(rows, 30, (3, 5), weights, {"a": 2})
    assert sum(row["source"] == "a" for row in capped) == 2
    assert len(capped) == 22


def test_the_token_budget_names_the_limit_that_keeps_all_but_one_in_a_hundred() -> None:
    budget = token_budget(list(range(1, 201)), 150)
    assert budget["limit_that_keeps_99_percent"] == 199
    assert budget["too_long"] == 50
    assert sum(budget["histogram"]["counts"]) == 200


def test_small_people_are_counted_and_the_pixels_that_would_help_named() -> None:
    heights = person_heights([5.0] * 10 + [20.0] * 90, 10.0)
    assert heights is not None
    assert heights["below_frac"] == pytest.approx(0.1)
    assert pixels_factor([5.0] * 100, 10.0) == pytest.approx(4.0)  # twice the height is four times the pixels
    assert pixels_factor([20.0] * 100, 10.0) == 1.0
    assert person_heights([], 10.0) is None


def test_the_tiles_of_an_image_are_chosen_together() -> None:
    rows = [{"source": "a", "scene_id": str(n // 4), "n": n} for n in range(40)]
    kept = chosen(rows, 10, (1, 2), {"a": 1.0}, {})
    assert len(kept) == 8
    assert all(kept[i]["scene_id"] == kept[i + 3]["scene_id"] for i in (0, 4))
