"""The grammar of boxes: <think>, <look>, <answer>, and in the answer a JSON list of boxes with labels.

Parsing is total: any text gives an Answer or a ParseFailure, never an exception, in linear time.
An unreadable answer is never the same thing as an empty one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from components.core.boxes import Boxes, areas, as_boxes, clip
from components.core.envelope import Bad, FailureReason, Span, blocks, wrapped
from components.core.frames import ImageView
from components.core.json_values import MAX_DEPTH, four_numbers, json_list, loads, objects
from components.core.words import Thinking

_EMPTY = as_boxes([])
SHAPE = '[{"bbox_2d":[x1,y1,x2,y2],"label":"{label}"}, ...]'
"""How a prompt describes the answer; {label} is filled in."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A parsed completion. Boxes are original pixels, clipped to the image; spans are where each item stands."""

    think: str
    look: Boxes  # (L, 4)
    boxes: Boxes  # (N, 4)
    labels: tuple[str, ...]  # N
    spans: tuple[tuple[int, int], ...] = ()  # N, character ranges in the text


@dataclass(frozen=True, slots=True, eq=False)
class ParseFailure:
    """Why a completion cannot be read, and where. A truncated one carries the boxes that were complete."""

    reason: FailureReason
    offset: int
    salvaged: Boxes = field(default_factory=lambda: _EMPTY)  # (N, 4)
    salvaged_labels: tuple[str, ...] = ()
    salvaged_spans: tuple[tuple[int, int], ...] = ()


Parsed = Answer | ParseFailure


def parse(text: str, view: ImageView, thinking: Thinking = "look") -> Parsed:
    """The completion as boxes in original pixels, or the reason why it cannot be read.

    One box that is empty or inverted after clipping to the image makes the whole completion a failure.
    """
    try:
        return _parse(text, view, thinking)
    except Bad as bad:
        if bad.reason == "truncated":
            boxes, labels, spans = _salvage(text, view)
            return ParseFailure("truncated", bad.offset, boxes, labels, spans)
        return ParseFailure(bad.reason, bad.offset)


def _parse(text: str, view: ImageView, thinking: Thinking) -> Answer:
    found = blocks(text, thinking)
    answer = found["answer"]
    look_boxes = look_numbers(text, found)
    spans = objects(text[slice(*answer)], answer[0])
    items = [_item(value, answer[0]) for value in json_list(text, answer)]
    boxes = [box for box, _ in items]
    try:
        together = to_image([*look_boxes, *boxes], view, answer[0])  # one conversion costs half of two
    except Bad:
        to_image(look_boxes, view, found.get("look", answer)[0])
        to_image(boxes, view, answer[0])
        raise
    return Answer(
        think=think_text(text, found),
        look=together[: len(look_boxes)],
        boxes=together[len(look_boxes) :],
        labels=tuple(label for _, label in items),
        spans=spans,
    )


def think_text(text: str, found: dict[str, Span]) -> str:
    """What stands in the think block, stripped; empty where there is none."""
    return text[slice(*found["think"])].strip() if "think" in found else ""


def look_numbers(text: str, found: dict[str, Span]) -> list[list[float]]:
    """The look block's boxes as they are written; none where there is no such block. Raises Bad."""
    if "look" not in found:
        return []
    look = found["look"]
    if text.count("[", *look) + text.count("{", *look) > MAX_DEPTH:  # fewer cannot nest too deep
        objects(text[slice(*look)], look[0])
    return [four_numbers(item, look[0]) for item in json_list(text, look)]


def _item(value: Any, offset: int) -> tuple[list[float], str]:
    if not isinstance(value, dict):
        raise Bad("bad_shape", offset)
    item = cast("dict[str, Any]", value)
    label = item.get("label")
    if "bbox_2d" not in item or not isinstance(label, str):
        raise Bad("bad_shape", offset)
    return four_numbers(item["bbox_2d"], offset), label


def to_image(boxes: list[list[float]], view: ImageView, offset: int) -> Boxes:
    """Boxes in original pixels, clipped to the image. Raises Bad where one is empty or inverted then."""
    try:
        with np.errstate(over="ignore"):  # an overflow is an infinity, and as_boxes refuses it
            clipped = clip(view.to_original(as_boxes(boxes)), view.width_px, view.height_px)
    except ValueError:  # a product of a huge number and the scale that float32 cannot hold
        raise Bad("bad_number", offset) from None
    if len(clipped) and not (areas(clipped) > 0).all():
        raise Bad("bad_box", offset)
    return clipped


def span_confidence(span: tuple[int, int], tokens: Sequence[Sequence[float]] | None) -> float | None:
    """exp(mean log-probability) of the tokens that share a character with a box's text, in (0, 1].

    tokens: (first character, one behind the last, log-probability) each. None without any: nobody knows then, and 1
    would be a lie.
    """
    inside = [logprob for start, end, logprob in tokens or () if start < span[1] and end > span[0]]
    return math.exp(sum(inside) / len(inside)) if inside else None


def _salvage(text: str, view: ImageView) -> tuple[Boxes, tuple[str, ...], tuple[tuple[int, int], ...]]:
    """The complete, valid items of an answer that the token limit cut."""
    opening = text.find("<answer>")
    return (_EMPTY, (), ()) if opening < 0 else _items(text, opening + len("<answer>"), view)


def read_items(text: str, view: ImageView) -> Answer:
    """Every complete, valid item behind <answer>, or anywhere where that tag is not: an answer without our grammar."""
    opening = text.find("<answer>")
    boxes, labels, spans = _items(text, 0 if opening < 0 else opening + len("<answer>"), view)
    return Answer("", _EMPTY, boxes, labels, spans)


def _items(text: str, begin: int, view: ImageView) -> tuple[Boxes, tuple[str, ...], tuple[tuple[int, int], ...]]:
    try:
        found = objects(text[begin:], begin)
    except Bad as too_deep:
        found = objects(text[begin : too_deep.offset], begin)
    boxes: list[Boxes] = []
    labels: list[str] = []
    spans: list[tuple[int, int]] = []
    for start, end in found:
        try:
            box, label = _item(loads(text[start:end], start), start)
            boxes.append(to_image([box], view, start))
        except Bad:
            continue  # an item that is complete but wrong is not salvaged
        labels.append(label)
        spans.append((start, end))
    return as_boxes(np.concatenate(boxes) if boxes else []), tuple(labels), tuple(spans)


def render(
    think: str, look: Boxes, boxes: Boxes, labels: Sequence[str], view: ImageView, thinking: Thinking = "look"
) -> str:
    """The gold text for boxes in original pixels, as the model is to write it.

    Integers in the model's frame, rounded outward, so that a narrow person never becomes a bad box.
    """
    answers = zip(outward(boxes, view), labels, strict=True)
    items = ",".join(f'{{"bbox_2d":{box_text(box)},"label":{json.dumps(label)}}}' for box, label in answers)
    return wrapped(thinking, think, look_text(look, view), f"[{items}]")


def look_text(look: Boxes, view: ImageView) -> str:
    """The body of a look block, rounded as `render` rounds."""
    return f"[{','.join(box_text(box) for box in outward(look, view))}]"


def outward(boxes: Boxes, view: ImageView) -> list[list[int]]:
    """The boxes in whole numbers of the model's frame that cover them."""
    shown = view.from_original(boxes).astype(np.float64)
    # float32 scaling leaves 12.000001 where 12 is meant: a thousandth is no pixel
    low, high = np.floor(shown[:, :2] + 1e-3), np.ceil(shown[:, 2:] - 1e-3)
    return np.concatenate([np.maximum(low, 0), high], axis=1).astype(int).tolist()


def box_text(numbers: Sequence[int]) -> str:
    """[x1,y1,x2,y2], or [x,y] of a point."""
    return "[" + ",".join(str(number) for number in numbers) + "]"
