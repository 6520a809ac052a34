"""One box: {"bbox_2d": [x1, y1, x2, y2]}, or the bare list of its four numbers.

It must lie in the image as it is written: neither clipped nor swapped.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from components.core.boxes import Boxes, as_boxes
from components.core.completion import Answer, box_text, outward
from components.core.envelope import Bad, Span, wrapped
from components.core.frames import ImageView
from components.core.json_values import four_numbers, json_value
from components.core.scene import Truth
from components.core.words import Thinking

SHAPE = '{"bbox_2d":[x1,y1,x2,y2]}'
LARGEST = 1e9
EDGE = 1e-3
"""Pixels by which float32's change of frame may put a box that ends at the edge beyond it."""


def read(text: str, span: Span, view: ImageView, think: str, look: Boxes) -> Answer:
    """An Answer with one box and an empty label. Raises Bad."""
    value = json_value(text, span, LARGEST)
    if isinstance(value, dict):
        value = cast("dict[str, Any]", value).get("bbox_2d")
    box = view.to_original(as_boxes([four_numbers(value, span[0])]))
    x1, y1, x2, y2 = box[0].tolist()
    inside = x1 >= 0 and y1 >= 0 and x2 <= view.width_px + EDGE and y2 <= view.height_px + EDGE
    if not (inside and x1 < x2 and y1 < y2):
        raise Bad("bad_box", span[0])
    limits = np.array([view.width_px, view.height_px] * 2, dtype=np.float32)
    return Answer(think, look, as_boxes(np.minimum(box, limits)), ("",), (span,))


def gold(truth: Truth, view: ImageView, look_iou: float, thinking: Thinking) -> str:
    """The truth's one box in whole numbers of the model's frame, rounded outward but not out of the image."""
    del look_iou
    sides = [int(side) for side in view.model_units] * 2
    (numbers,) = outward(truth.boxes, view)
    kept = box_text([min(one, side) for one, side in zip(numbers, sides, strict=True)])
    return wrapped(thinking, "I see it.", "[]", f'{{"bbox_2d":{kept}}}')
