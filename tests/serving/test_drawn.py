"""What an answer looks like on its image."""

from __future__ import annotations

import numpy as np
from PIL import Image

from components.serving.drawn import draw_answer


def coloured(answer: dict, scores: tuple[float | None, ...] = ()) -> np.ndarray:
    """Which pixels of a white image of 300 x 300 are drawn on, rows first."""
    image = Image.new("RGB", (300, 300), "white")
    draw_answer(image, answer, scores)
    return (np.asarray(image) != 255).any(axis=2)


def test_a_box_is_an_outline_and_a_point_a_dot() -> None:
    shown = coloured({"boxes": [[10, 20, 110, 220]], "points": [[200, 50]]})
    assert shown[20, 10:111].all()
    assert shown[220, 10:111].all()
    assert shown[20:221, 10].all()
    assert shown[20:221, 110].all()
    assert not shown[21:220, 11:110].any()
    assert shown[50, 198:203].all()
    assert shown.sum() == 2 * 101 + 2 * 199 + shown[45:56, 195:206].sum()


def test_a_number_stands_in_the_box_that_has_a_score_and_an_old_versions_answer_has_no_points() -> None:
    answer = {"boxes": [[10, 20, 110, 220], [150, 20, 250, 220]]}
    plain, scored = coloured(answer), coloured(answer, (0.87, None))
    assert scored[21:40, 11:60].any()
    assert (scored[:, 120:] == plain[:, 120:]).all()
