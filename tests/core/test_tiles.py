"""Tiles cover the image, nobody is lost, and perfect answers about the tiles are the perfect answer about the image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.boxes import Boxes, as_boxes, iou
from components.core.scene import Truth
from components.core.tiles import merge, shown_frac, split_truth, tile_grid
from tests.support.strategies import HEIGHT, WIDTH, boxes, truth_of


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 4), st.integers(1, 4), st.floats(0, 0.5))
def test_tiles_cover_every_pixel_and_stay_inside(
    width: int, height: int, rows: int, columns: int, overlap: float
) -> None:
    tiles = tile_grid(width, height, rows, columns, overlap)
    assert len(tiles) == rows * columns
    covered = np.zeros((height, width), dtype=bool)
    for x1, y1, x2, y2 in tiles:
        assert 0 <= x1 <= x2 <= width
        assert 0 <= y1 <= y2 <= height
        covered[y1:y2, x1:x2] = True
    assert covered.all()


def test_two_tiles_with_a_third_in_common() -> None:
    assert tile_grid(100, 30, 1, 2, 1 / 3) == [(0, 0, 60, 30), (40, 0, 100, 30)]


@given(boxes(), st.integers(1, 3), st.integers(1, 3), st.floats(0, 0.4))
def test_nobody_is_lost_and_every_box_lies_in_its_tile(people: Boxes, rows: int, columns: int, overlap: float) -> None:
    tiles = tile_grid(WIDTH, HEIGHT, rows, columns, overlap)
    parts = split_truth(truth_of(people), tiles)
    asked = np.zeros(len(people), dtype=int)
    for part, (x1, y1, x2, y2) in zip(parts, tiles, strict=True):
        assert (part.width_px, part.height_px) == (x2 - x1, y2 - y1)
        if len(part.boxes):
            assert (part.boxes >= 0).all()
            assert (part.boxes <= [x2 - x1, y2 - y1] * 2).all()
            assert (part.boxes[:, :2] < part.boxes[:, 2:]).all()
        back = as_boxes(part.boxes + np.array([x1, y1, x1, y1], dtype=np.float32))
        for n, person in enumerate(people):
            clipped = np.array([max(person[0], x1), max(person[1], y1), min(person[2], x2), min(person[3], y2)])
            asked[n] += int(any(np.allclose(clipped, box) for box in back))
    assert (asked >= 1).all()


def test_a_piece_of_somebody_elses_is_to_be_ignored() -> None:
    truth = Truth(as_boxes([[30, 5, 52, 25]]), ("person",), as_boxes([]), 100, 30)
    left, right = split_truth(truth, [(0, 0, 50, 30), (50, 0, 100, 30)])
    assert left.boxes.tolist() == [[30, 5, 50, 25]]
    assert left.ignore.tolist() == []
    assert right.boxes.tolist() == []
    assert right.ignore.tolist() == [[0, 5, 2, 25]]
    assert shown_frac(truth.boxes, [(0, 0, 50, 30)])[0, 0] == pytest.approx(20 / 22)


def answers(truth: Truth, tiles: list[tuple[int, int, int, int]]) -> tuple[list[Boxes], list[tuple[str, ...]]]:
    parts = split_truth(truth, tiles)
    return [part.boxes for part in parts], [part.labels for part in parts]


def test_somebody_on_the_seam_is_found_once_and_whole() -> None:
    truth = Truth(as_boxes([[5, 5, 15, 25], [45, 5, 55, 25], [30, 2, 65, 28]]), ("person",) * 3, as_boxes([]), 100, 30)
    tiles = tile_grid(100, 30, 1, 2, 1 / 3)
    merged, origin = merge(*answers(truth, tiles), tiles)
    assert sorted(merged.tolist()) == sorted(truth.boxes.tolist())
    assert len(origin) == 3


@given(boxes(max_count=4))
def test_perfect_answers_about_tiles_are_the_perfect_answer(people: Boxes) -> None:
    """People smaller than the overlap, who do not touch each other: each is whole in at least one tile."""
    small = [as_boxes([[x1, y1, min(x2, x1 + 8), min(y2, y1 + 8)]])[0] for x1, y1, x2, y2 in people]
    alone: list[np.ndarray] = []
    for box in small:
        if not alone or iou(as_boxes([box]), as_boxes(alone)).max() == 0:
            alone.append(box)
    truth, tiles = truth_of(as_boxes(alone)), tile_grid(WIDTH, HEIGHT, 2, 2, 0.4)
    merged, _ = merge(*answers(truth, tiles), tiles)
    assert sorted(merged.tolist()) == sorted(truth.boxes.tolist())


def test_two_people_of_one_tile_are_never_joined() -> None:
    pair = as_boxes([[1, 1, 20, 20], [2, 2, 20, 20]])
    merged, _ = merge([pair, as_boxes([])], [("person",) * 2, ()], [(0, 0, 50, 30), (40, 0, 100, 30)])
    assert merged.tolist() == pair.tolist()
    empty, origin = merge([as_boxes([])], [()], [(0, 0, 9, 9)])
    assert len(empty) == len(origin) == 0
