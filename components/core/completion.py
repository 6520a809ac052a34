"""The grammar of a completion: <think>, <look>, <answer>, once each, in this order.

Parsing is total: any text gives an Answer or a ParseFailure, never an exception, in linear time.
An unreadable answer is never the same thing as an empty one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np

from components.core.boxes import Boxes, areas, as_boxes, clip
from components.core.frames import ImageView

FailureReason = Literal[
    "empty", "structure", "blank_think", "truncated", "bad_json", "bad_shape", "bad_number", "bad_box"
]
BLOCKS = ("think", "look", "answer")
_TAG = re.compile(r"</?(?:think|look|answer)>")
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_ORDER = [tag for block in BLOCKS for tag in (f"<{block}>", f"</{block}>")]
_EMPTY = as_boxes([])
_LARGEST = float(np.finfo(np.float32).max)
# deeper lists than the grammar's are refused before json.loads sees them: its recursion is bounded
_MAX_DEPTH = 32


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


class _Bad(Exception):  # noqa: N818  (control flow inside this file, never raised out of parse)
    def __init__(self, reason: FailureReason, offset: int) -> None:
        self.reason: FailureReason = reason
        self.offset = offset


def parse(text: str, view: ImageView) -> Parsed:
    """The completion as boxes in original pixels, or the reason why it cannot be read.

    One box that is empty or inverted after clipping to the image makes the whole completion a failure.
    """
    try:
        return _parse(text, view)
    except _Bad as bad:
        if bad.reason == "truncated":
            boxes, labels, spans = _salvage(text, view)
            return ParseFailure("truncated", bad.offset, boxes, labels, spans)
        return ParseFailure(bad.reason, bad.offset)


def _parse(text: str, view: ImageView) -> Answer:
    think, look, answer = _blocks(text)
    if not text[think[0] : think[1]].strip():
        raise _Bad("blank_think", think[0])
    if text.count("[", *look) + text.count("{", *look) > _MAX_DEPTH:  # fewer cannot nest too deep
        _objects(text[slice(*look)], look[0])
    look_boxes = [_numbers(item, look[0]) for item in _json_list(text, look)]
    spans = _objects(text[slice(*answer)], answer[0])
    items = [_item(value, answer[0]) for value in _json_list(text, answer)]
    found = [box for box, _ in items]
    try:
        together = _to_image([*look_boxes, *found], view, answer[0])  # one conversion costs half of two
    except _Bad:
        _to_image(look_boxes, view, look[0])
        _to_image(found, view, answer[0])
        raise
    return Answer(
        think=text[think[0] : think[1]].strip(),
        look=together[: len(look_boxes)],
        boxes=together[len(look_boxes) :],
        labels=tuple(label for _, label in items),
        spans=spans,
    )


def _blocks(text: str) -> list[tuple[int, int]]:
    """Inner character range of each block. The tags stand once each, in order, white space around them only."""
    if not text.strip():
        raise _Bad("empty", 0)
    tags = list(_TAG.finditer(text))
    in_order = [tag.group() for tag in tags] == _ORDER[: len(tags)]
    if len(tags) < len(_ORDER):
        if in_order and len(tags) % 2 and _outside_is_blank(text, tags):
            raise _Bad("truncated", len(text))
        raise _Bad("structure", tags[0].start() if tags else 0)
    if not in_order:
        wrong = next(i for i, tag in enumerate(tags) if i >= len(_ORDER) or tag.group() != _ORDER[i])
        raise _Bad("structure", tags[wrong].start())
    if not _outside_is_blank(text, tags):
        raise _Bad("structure", 0)
    return [(tags[i].end(), tags[i + 1].start()) for i in (0, 2, 4)]


def _outside_is_blank(text: str, tags: Sequence[re.Match[str]]) -> bool:
    gaps = [text[: tags[0].start()]]
    gaps += [text[tags[i].end() : tags[i + 1].start()] for i in range(1, len(tags) - 1, 2)]
    if len(tags) % 2 == 0:
        gaps.append(text[tags[-1].end() :])
    return not any(gap.strip() for gap in gaps)


def _json_list(text: str, span: tuple[int, int]) -> list[Any]:
    start, end = span
    value = _loads(text[start:end], start)
    if not isinstance(value, list):
        raise _Bad("bad_shape", start)
    return cast("list[Any]", value)


def _loads(body: str, offset: int) -> Any:
    """JSON whose depth _objects has bounded."""
    try:
        return json.loads(body, parse_int=_decimal, parse_float=_decimal, parse_constant=_constant)
    except _BadNumberError:
        raise _Bad("bad_number", offset) from None
    except json.JSONDecodeError as error:
        raise _Bad("bad_json", offset + error.pos) from None


def _objects(body: str, offset: int) -> tuple[tuple[int, int], ...]:
    """Character ranges of the complete objects directly inside the outer list; `body` begins at `offset`.

    Brackets inside strings do not count; a string that never closes takes the rest. Raises _Bad where
    lists nest deeper than json.loads may be let in.
    """
    plain = _ESCAPE.sub("  ", body) if "\\" in body else body  # an escaped quote closes no string
    letters = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    outside = np.cumsum(letters == ord('"')) % 2 == 0
    opening = ((letters == ord("[")) | (letters == ord("{"))) & outside
    closing = ((letters == ord("]")) | (letters == ord("}"))) & outside
    depth = np.cumsum(opening.astype(np.int64) - closing)  # behind each letter
    if depth.max(initial=0) > _MAX_DEPTH:
        raise _Bad("bad_shape", offset + int((depth > _MAX_DEPTH).argmax()))
    begins = np.flatnonzero(opening & (depth == 2))
    ends = np.flatnonzero(closing & (depth == 1))
    begins = begins[: len(ends)]  # the depth passes 2 upwards and downwards in turn: the k-th end closes the k-th begin
    kept = letters[begins] == ord("{")
    return tuple(zip((begins[kept] + offset).tolist(), (ends[kept] + offset + 1).tolist(), strict=True))


class _BadNumberError(ValueError):
    """NaN, Infinity, or a number too large for a box."""


def _decimal(digits: str) -> float:
    # integers too: float() reads a million digits in linear time, int() refuses them
    value = float(digits)
    if not -_LARGEST < value < _LARGEST:
        raise _BadNumberError
    return value


def _constant(name: str) -> float:
    raise _BadNumberError(name)


def _numbers(value: Any, offset: int) -> list[float]:
    """Four numbers. Booleans are none: JSON's true is an int to Python."""
    if not isinstance(value, list) or len(cast("list[Any]", value)) != 4:
        raise _Bad("bad_shape", offset)
    x1, y1, x2, y2 = numbers = cast("list[Any]", value)
    if not (type(x1) is type(y1) is type(x2) is type(y2) is float):
        raise _Bad("bad_number", offset)
    return numbers


def _item(value: Any, offset: int) -> tuple[list[float], str]:
    if not isinstance(value, dict):
        raise _Bad("bad_shape", offset)
    item = cast("dict[str, Any]", value)
    label = item.get("label")
    if "bbox_2d" not in item or not isinstance(label, str):
        raise _Bad("bad_shape", offset)
    return _numbers(item["bbox_2d"], offset), label


def _to_image(boxes: list[list[float]], view: ImageView, offset: int) -> Boxes:
    try:
        with np.errstate(over="ignore"):  # an overflow is an infinity, and as_boxes refuses it
            clipped = clip(view.to_original(as_boxes(boxes)), view.width_px, view.height_px)
    except ValueError:  # a product of a huge number and the scale that float32 cannot hold
        raise _Bad("bad_number", offset) from None
    if len(clipped) and not (areas(clipped) > 0).all():
        raise _Bad("bad_box", offset)
    return clipped


def span_confidence(span: tuple[int, int], tokens: Sequence[Sequence[float]]) -> float:
    """exp(mean log-probability) of the tokens that share a character with a box's text, in (0, 1]; 1 without any.

    tokens: (first character, one behind the last, log-probability) each.
    """
    inside = [logprob for start, end, logprob in tokens if start < span[1] and end > span[0]]
    return math.exp(sum(inside) / len(inside)) if inside else 1.0


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
        objects = _objects(text[begin:], begin)
    except _Bad as too_deep:
        objects = _objects(text[begin : too_deep.offset], begin)
    boxes: list[Boxes] = []
    labels: list[str] = []
    spans: list[tuple[int, int]] = []
    for start, end in objects:
        try:
            box, label = _item(_loads(text[start:end], start), start)
            boxes.append(_to_image([box], view, start))
        except _Bad:
            continue  # an item that is complete but wrong is not salvaged
        labels.append(label)
        spans.append((start, end))
    return as_boxes(np.concatenate(boxes) if boxes else []), tuple(labels), tuple(spans)


def render(think: str, look: Boxes, boxes: Boxes, labels: Sequence[str], view: ImageView) -> str:
    """The gold text for boxes in original pixels, as the model is to write it.

    Integers in the model's frame, rounded outward, so that a narrow person never becomes a bad box.
    """
    look_text = ",".join(_box_text(box) for box in _outward(look, view))
    answers = zip(_outward(boxes, view), labels, strict=True)
    items = ",".join(f'{{"bbox_2d":{_box_text(box)},"label":{json.dumps(label)}}}' for box, label in answers)
    return f"<think>{think}</think><look>[{look_text}]</look><answer>[{items}]</answer>"


def _outward(boxes: Boxes, view: ImageView) -> list[list[int]]:
    shown = view.from_original(boxes).astype(np.float64)
    # float32 scaling leaves 12.000001 where 12 is meant: a thousandth is no pixel
    low, high = np.floor(shown[:, :2] + 1e-3), np.ceil(shown[:, 2:] - 1e-3)
    return np.concatenate([np.maximum(low, 0), high], axis=1).astype(int).tolist()


def _box_text(box: Sequence[int]) -> str:
    return "[" + ",".join(str(number) for number in box) + "]"
