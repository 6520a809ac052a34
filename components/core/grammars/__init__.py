"""The grammars of answers and their table: how the text inside <answer> is read and written.

Reading is total, as in completion.py: any text gives an answer or a ParseFailure. An answer in another task's grammar
is a failure here, never a lucky guess.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from components.core.boxes import Boxes
from components.core.completion import SHAPE, Parsed, ParseFailure, look_numbers, parse, think_text, to_image
from components.core.envelope import Bad, Span, blocks
from components.core.frames import ImageView
from components.core.gold import gold_completion
from components.core.grammars import box, number, points, text
from components.core.grammars.answers import CountAnswer, TextAnswer
from components.core.scene import AnyTruth, CountTruth, TextTruth, Truth
from components.core.words import Thinking

AnyParsed = Parsed | CountAnswer | TextAnswer
Read = Callable[[str, ImageView, Thinking], AnyParsed]
"""(completion, view, thinking) -> answer, or the reason why it cannot be read."""
ReadBlock = Callable[[str, Span, ImageView, str, Boxes], AnyParsed]
"""(completion, range of its answer block, view, thoughts, look boxes) -> answer. Raises Bad."""
Gold = Callable[[Any, ImageView, float, Thinking], str | None]
"""(truth, view, look_iou, thinking) -> the completion that answers perfectly; None where the truth does not say."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """One way to answer. `truth` is what such an answer is held against, `shape` how a prompt describes it."""

    read: Read
    gold: Gold
    truth: type[AnyTruth]
    shape: str
    json_types: tuple[type, ...]
    """What such an answer is where it comes as JSON, without a completion around it."""
    has_coordinates: bool = False
    one_box: bool = False
    """Whether the truth is exactly one box."""


def of_block(read: ReadBlock, any_text: bool = False) -> Read:
    """Reads the answer block alone; the envelope around it is that of all tasks.

    any_text: the answer is whatever is written in an image, tags too.
    """

    def whole(completion: str, view: ImageView, thinking: Thinking) -> AnyParsed:
        try:
            found = blocks(completion, thinking, any_text)
            look = to_image(look_numbers(completion, found), view, found["answer"][0])
            return read(completion, found["answer"], view, think_text(completion, found), look)
        except Bad as bad:
            return ParseFailure(bad.reason, bad.offset)

    return whole


GRAMMARS: dict[str, Grammar] = {
    "boxes": Grammar(parse, gold_completion, Truth, SHAPE, (list,), has_coordinates=True),
    "box": Grammar(of_block(box.read), box.gold, Truth, box.SHAPE, (list, dict), has_coordinates=True, one_box=True),
    "points": Grammar(of_block(points.read), points.gold, CountTruth, points.SHAPE, (list,), has_coordinates=True),
    "number": Grammar(of_block(number.read), number.gold, CountTruth, number.SHAPE, (int,)),
    "text": Grammar(of_block(text.read, any_text=True), text.gold, TextTruth, text.SHAPE, (str,)),
}


def read_completion(grammar: str, completion: str, view: ImageView, thinking: Thinking) -> AnyParsed:
    """The completion as an answer, or the reason why it cannot be read."""
    return GRAMMARS[grammar].read(completion, view, thinking)
