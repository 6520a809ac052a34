"""The grammar: near misses are failures with a reason, nothing raises, gold reads back."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from components.core.boxes import as_boxes, iou
from components.core.completion import Answer, ParseFailure, parse, render
from components.core.frames import ImageView, smart_resize
from components.core.gold import crowded_clusters, gold_completion
from tests.support.strategies import HEIGHT, WIDTH, boxes, truth_of

VIEW = ImageView(WIDTH, HEIGHT)
GOOD = '<think>two</think><look>[[1,2,30,40]]</look><answer>[{"bbox_2d":[1,2,3.5,4],"label":"person"}]</answer>'
NEAR_MISSES = [
    ("", "empty"),
    (" \n", "empty"),
    ("nobody", "structure"),
    ("<think", "structure"),
    ("<think>x</think>", "structure"),
    (GOOD + " bye", "structure"),
    ("Sure! " + GOOD, "structure"),
    (GOOD + GOOD, "structure"),
    (GOOD.replace("<look>", "<Look>"), "structure"),
    ("<look>[]</look><think>x</think><answer>[]</answer>", "structure"),
    ("<think>a <think> b</think><look>[]</look><answer>[]</answer>", "structure"),
    ("<think> </think><look>[]</look><answer>[]</answer>", "blank_think"),
    ("<think>x", "truncated"),
    (GOOD[:-20], "truncated"),
    ("<think>x</think><look>[1,2</look><answer>[]</answer>", "bad_json"),
    ("<think>x</think><look>[]</look><answer></answer>", "bad_json"),
    ("<think>x</think><look>{}</look><answer>[]</answer>", "bad_shape"),
    ("<think>x</think><look>[[1,2,3]]</look><answer>[]</answer>", "bad_shape"),
    ('<think>x</think><look>[]</look><answer>[{"bbox_2d":[1,2,3,4]}]</answer>', "bad_shape"),
    ('<think>x</think><look>[]</look><answer>[{"bbox_2d":[1,2,3,true],"label":"p"}]</answer>', "bad_number"),
    ('<think>x</think><look>[]</look><answer>[{"bbox_2d":[1,2,NaN,4],"label":"p"}]</answer>', "bad_number"),
    ('<think>x</think><look>[]</look><answer>[{"bbox_2d":[1,2,1e999,4],"label":"p"}]</answer>', "bad_number"),
    ('<think>x</think><look>[]</look><answer>[{"bbox_2d":[9,2,3,4],"label":"p"}]</answer>', "bad_box"),
    ('<think>x</think><look>[]</look><answer>[{"bbox_2d":[90,2,99,4],"label":"p"}]</answer>', "bad_box"),
    ("<think>x</think><look>[[5,5,5,9]]</look><answer>[]</answer>", "bad_box"),
]


@pytest.mark.parametrize(("text", "reason"), NEAR_MISSES)
def test_a_near_miss_is_a_failure_with_its_reason(text: str, reason: str) -> None:
    result = parse(text, VIEW)
    assert isinstance(result, ParseFailure)
    assert result.reason == reason


def test_a_good_completion_reads_as_it_says() -> None:
    result = parse("  " + GOOD + "\n", VIEW)
    assert isinstance(result, Answer)
    assert result.think == "two"
    assert result.boxes.tolist() == [[1, 2, 3.5, 4]]
    assert result.labels == ("person",)
    start, end = result.spans[0]
    assert ("  " + GOOD)[start:end] == '{"bbox_2d":[1,2,3.5,4],"label":"person"}'


def test_negative_numbers_and_other_keys_are_let_through_and_clipped() -> None:
    text = GOOD.replace("[1,2,3.5,4]", "[-3,-2,4,1e1]").replace('"label"', '"sure":[1,{"a":2}],"label"')
    result = parse(text, VIEW)
    assert isinstance(result, Answer)
    assert result.boxes.tolist() == [[0, 0, 4, 10]]
    assert len(result.spans) == 1


def test_a_number_with_many_decimals_is_a_number() -> None:
    result = parse(GOOD.replace("3.5", "3." + "5" * 60), VIEW)
    assert isinstance(result, Answer)
    assert result.boxes[0, 2] == pytest.approx(3.5555556)


@pytest.mark.filterwarnings("error")
def test_a_number_that_only_the_change_of_frame_makes_too_large_is_a_failure_without_a_warning() -> None:
    result = parse(GOOD.replace("3.5", "3e38"), ImageView(4000, 4000, "resized", (28, 28)))
    assert isinstance(result, ParseFailure)
    assert result.reason == "bad_number"


def test_empty_is_not_unreadable() -> None:
    result = parse("<think>nobody</think><look>[]</look><answer>[]</answer>", VIEW)
    assert isinstance(result, Answer)
    assert len(result.boxes) == 0


def test_a_cut_answer_carries_the_boxes_that_were_whole() -> None:
    item = '{"bbox_2d":[1,2,3,4],"label":"person"}'
    result = parse(f"<think>x</think><look>[]</look><answer>[{item},{item},{item[:20]}", VIEW)
    assert isinstance(result, ParseFailure)
    assert result.reason == "truncated"
    assert result.salvaged.tolist() == [[1, 2, 3, 4], [1, 2, 3, 4]]


def test_random_and_mutated_texts_raise_nothing() -> None:
    pick = random.Random(0)
    pieces = [GOOD[i : i + 7] for i in range(0, len(GOOD), 3)] + ["[", "{", '"', "\\", "NaN", "1e400", "é", "\0", "-"]
    for _ in range(20_000):
        text = list(GOOD) if pick.random() < 0.7 else []
        for _ in range(pick.randint(1, 8)):
            place = pick.randint(0, len(text))
            text[place : place + pick.randint(0, 4)] = pick.choice(pieces)
        assert isinstance(parse("".join(text), VIEW), Answer | ParseFailure)


@pytest.mark.parametrize(
    "text",
    [
        "<think>a</think><look>" + "[" * 10**6,
        "<think>a</think><look>" + "[" * 10**6 + "</look><answer>[]</answer>",
        "<think>" * 150_000,
        "<think>a</think><look>" + '"\\' * 500_000 + "</look><answer>[]</answer>",
        "<think>a</think><look>[]</look><answer>" + "{" * 500_000 + '"',
        GOOD.replace("3.5", "9" * 10**6),
    ],
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    begun = time.process_time()
    assert isinstance(parse(text, VIEW), ParseFailure)
    assert time.process_time() - begun < 3  # a quadratic scan takes minutes


@given(boxes(), boxes(max_count=2))
def test_what_is_rendered_reads_back(found, look) -> None:
    result = parse(render("x", look, found, ["person"] * len(found), VIEW), VIEW)
    assert isinstance(result, Answer)
    assert np.array_equal(result.boxes, found)
    assert np.array_equal(result.look, look)
    assert len(result.spans) == len(found)


@given(boxes(min_count=1), st.sampled_from([(32, 24), (128, 96), (200, 56)]))
def test_gold_rounds_outward_so_that_it_covers_the_truth(found, model_size) -> None:
    view = ImageView(WIDTH, HEIGHT, "resized", model_size)
    result = parse(gold_completion(truth_of(found), view, 0.3), view)
    assert isinstance(result, Answer)
    assert len(result.boxes) == len(found)
    for box in found:  # the frame's numbers are floats: a thousandth of a pixel is allowed
        assert any((mine[:2] <= box[:2] + 0.01).all() and (mine[2:] >= box[2:] - 0.01).all() for mine in result.boxes)


def test_people_who_overlap_share_one_look_box() -> None:
    people = as_boxes([[0, 0, 10, 20], [4, 0, 14, 20], [40, 0, 50, 20]])
    assert crowded_clusters(people, 0.3) == [[0, 1]]
    result = parse(gold_completion(truth_of(people), VIEW, 0.3), VIEW)
    assert isinstance(result, Answer)
    assert result.look.tolist() == [[0, 0, 14, 20]]
    assert result.think == "I see 3; 2 overlap."
    assert iou(result.boxes, people).max(axis=0).tolist() == [1, 1, 1]


FACTOR = 28  # patch size times merge size, Qwen2.5-VL


@given(
    st.integers(56, 1400),
    st.integers(56, 1400),
    st.sampled_from(["resized", "relative_1000"]),
    st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_written_and_read_again_a_box_moves_less_than_a_pixel_beside_the_frames_own(width, height, frame, shares):
    """The gold text of a box, through the size that the image processor really resizes to, and back.

    `resized` rounds to a pixel of the model's image, `relative_1000` to a thousandth of the side, both outwards.
    """
    processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 1_003_520})
    grid = processor(images=[Image.new("RGB", (width, height))], return_tensors="np")["image_grid_thw"][0]
    size = int(grid[2]) * FACTOR // 2, int(grid[1]) * FACTOR // 2
    assert smart_resize(width, height, FACTOR, 56 * 56, 1_003_520) == size
    sides = np.array([width, height, width, height])
    low = np.array([share[:2] for share in shares]) * (sides[:2] - 1)
    high = low + 1 + np.array([share[2:] for share in shares]) * (sides[2:] - 1 - low)
    corners = np.concatenate([low, high], axis=1)
    view = ImageView(width, height, frame, size)
    answer = parse(render("x", as_boxes([]), as_boxes(corners), ["person"] * len(corners), view), view)
    units = np.array([*size, *size]) if frame == "resized" else np.full(4, 1000)
    assert isinstance(answer, Answer)
    assert (np.abs(answer.boxes - corners) <= np.maximum(1, sides / units) + 1e-3).all()
