"""Hypothesis strategies that build valid inputs rather than filter invalid ones."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from components.core.boxes import Boxes, as_boxes
from components.core.completion import Answer
from components.core.scene import Truth

WIDTH, HEIGHT = 64, 48


@st.composite
def boxes(draw: st.DrawFn, min_count: int = 0, max_count: int = 6) -> Boxes:
    """Boxes inside the image with sides of at least one pixel, whole pixels."""
    found = []
    for _ in range(draw(st.integers(min_count, max_count))):
        x1, y1 = draw(st.integers(0, WIDTH - 2)), draw(st.integers(0, HEIGHT - 2))
        found.append([x1, y1, draw(st.integers(x1 + 1, WIDTH)), draw(st.integers(y1 + 1, HEIGHT))])
    return as_boxes(found)


def truth_of(people: Boxes, ignore: Boxes | None = None) -> Truth:
    return Truth(people, ("person",) * len(people), as_boxes([]) if ignore is None else ignore, WIDTH, HEIGHT)


def answer_of(found: Boxes, look: Boxes | None = None, label: str = "person") -> Answer:
    return Answer("x", as_boxes([]) if look is None else look, found, (label,) * len(found))


def stacked(first: Boxes, second: Boxes) -> Boxes:
    return as_boxes(np.concatenate([first, second]))
