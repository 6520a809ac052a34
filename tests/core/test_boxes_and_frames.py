"""Boxes check their shape; frames go there and back; sizes are those of the real image processor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.core.boxes import areas, as_boxes, clip, ioa, iou, visible_frac
from components.core.frames import ImageView, smart_resize
from tests.support.strategies import boxes


def test_a_wrong_shape_says_what_was_got_and_wanted() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\), want \(N, 4\)"):
        as_boxes([1, 2, 3])


def test_a_visible_share_is_of_the_full_box_and_tells_what_is_wrong_with_it() -> None:
    whole = np.array([[0, 0, 10, 10]] * 3 + [[5, 5, 5, 9]], dtype=float)
    seen = np.array([[0, 0, 10, 5], [0, 0, 20, 10], [10, 0, 0, 10], [5, 5, 6, 6]], dtype=float)
    assert visible_frac(seen, whole).tolist() == pytest.approx([0.5, 2.0, -1.0, np.nan], nan_ok=True)


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        as_boxes([[0, 0, float("nan"), 1]])


def test_boxes_cannot_be_changed_behind_ones_back() -> None:
    with pytest.raises(ValueError, match="read-only"):
        as_boxes([[0, 0, 1, 1]])[0, 0] = 5


def test_iou_by_hand() -> None:
    a, b = as_boxes([[0, 0, 10, 10]]), as_boxes([[5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 10, 10]])
    assert iou(a, b)[0].tolist() == pytest.approx([50 / 150, 0, 1])


def test_two_empty_boxes_score_zero_and_not_nan() -> None:
    point = as_boxes([[3, 3, 3, 3]])
    assert iou(point, point).tolist() == [[0.0]]
    assert ioa(point, as_boxes([[0, 0, 9, 9]])).tolist() == [[0.0]]


def test_a_box_outside_the_image_has_no_area_left() -> None:
    assert areas(clip(as_boxes([[70, 0, 90, 10], [-5, -5, 5, 5]]), 64, 48)).tolist() == [0.0, 25.0]


@given(boxes(), st.integers(20, 2000), st.integers(20, 2000), st.sampled_from(["original", "resized", "relative_1000"]))
def test_a_frame_there_and_back_is_the_same_box(found, width, height, frame) -> None:
    view = ImageView(width, height, frame, (28 * 7, 28 * 5))
    assert np.allclose(view.to_original(view.from_original(found)), found, atol=1e-2)


def test_resized_pixels_have_two_scales() -> None:
    view = ImageView(640, 480, "resized", (644, 476))
    assert view.to_original(as_boxes([[0, 0, 644, 476]])).tolist() == [[0, 0, 640, 480]]


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((640, 480), (644, 476)), ((1920, 1080), (1316, 728)), ((70, 70), (56, 56))],
)
def test_smart_resize_rounds_as_qwen_does(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert smart_resize(*size, 28, 56 * 56, 1_003_520) == wanted


SIDES = st.integers(1, 64) | st.integers(1, 20_000)
AREAS = st.integers(0, 1 << 24) | st.sampled_from([0, 3136, 4096, 1_003_520, 12_845_056])


@settings(max_examples=500, deadline=None)  # the first one imports transformers
@given(SIDES, SIDES, st.sampled_from([28, 32, 16, 1]) | st.integers(1, 64), AREAS, AREAS)
@example(2000, 14, 28, 3136, 1_003_520)
@example(14, 2000, 28, 3136, 12_845_056)
@example(201, 1, 28, 3136, 1_003_520)
@example(200, 1, 28, 3136, 1_003_520)
def test_smart_resize_is_the_processors_own_for_every_size_and_bound(
    width: int, height: int, factor: int, low: int, high: int
) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize as stock

    def size_or_error(resize: Callable[[], tuple[int, ...]]) -> tuple[int, ...] | None:
        try:
            return resize()
        except (ValueError, ZeroDivisionError):  # too thin; an upper bound of nothing
            return None

    theirs = size_or_error(lambda: stock(height, width, factor, low, high)[::-1])
    assert size_or_error(lambda: smart_resize(width, height, factor, low, high)) == theirs
