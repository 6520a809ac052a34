"""A list with an item for each thing that is counted: a point, or a box whose centre counts.

Points are {"point_2d": [x, y]} or bare pairs, boxes {"bbox_2d": [x1, y1, x2, y2]} or four bare numbers; other keys
are let through. At most 10,000 items; a completion of 200,000 characters holds few more.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from components.core.boxes import Boxes, as_boxes
from components.core.completion import box_text
from components.core.envelope import Bad, Span, wrapped
from components.core.frames import ImageView
from components.core.grammars.answers import CountAnswer
from components.core.json_values import four_numbers, json_value, two_numbers
from components.core.points import as_points
from components.core.scene import CountTruth
from components.core.words import Thinking

SHAPE = "[[x,y], ...]"
LARGEST = 1e9
MOST_ITEMS = 10_000
"""A dataset's image with more is refused by name when prompts are made."""


def read(text: str, span: Span, view: ImageView, think: str, look: Boxes) -> CountAnswer:
    """The points in the text's order. Raises Bad."""
    value = json_value(text, span, LARGEST)
    if not isinstance(value, list):
        raise Bad("bad_shape", span[0])
    items = cast("list[Any]", value)
    if len(items) > MOST_ITEMS:
        raise Bad("too_many", span[0])
    places = [_place(item, span[0]) for item in items]
    found = view.to_original(as_boxes([[*place, *place] for place in places]))
    return CountAnswer(think, look, len(places), as_points(found[:, :2]))


def _place(item: Any, offset: int) -> list[float]:
    """x y of an item in the model's frame."""
    if isinstance(item, dict):
        entry = cast("dict[str, Any]", item)
        if "point_2d" in entry:
            return two_numbers(entry["point_2d"], offset)
        return _centre(entry.get("bbox_2d"), offset)
    if isinstance(item, list) and len(cast("list[Any]", item)) == 2:
        return two_numbers(item, offset)
    return _centre(item, offset)


def _centre(value: Any, offset: int) -> list[float]:
    x1, y1, x2, y2 = four_numbers(value, offset)
    if not (x1 < x2 and y1 < y2):
        raise Bad("bad_box", offset)
    return [(x1 + x2) / 2, (y1 + y2) / 2]


def gold(truth: CountTruth, view: ImageView, look_iou: float, thinking: Thinking) -> str | None:
    """The points from left to right, in whole numbers of the model's frame; None where only their number is known."""
    del look_iou
    if truth.points is None:
        return None
    spread = view.from_original(as_boxes(np.concatenate([truth.points, truth.points], axis=1)))
    shown = np.rint(spread[:, :2]).astype(int)
    order = np.lexsort((shown[:, 1], shown[:, 0]))
    items = ",".join(box_text(point) for point in shown[order].tolist())
    return wrapped(thinking, f"I see {truth.count}.", "[]", f"[{items}]")
