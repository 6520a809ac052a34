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
Read = Callable[[str, Span, ImageView, str, Boxes], AnyParsed]
"""(completion, range of its answer block, view, thoughts, look boxes) -> answer. Raises Bad."""


Gold = Callable[[Any, ImageView, float, Thinking], str | None]
"""(truth, view, look_iou, thinking) -> the completion that answers perfectly; None where the truth does not say."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """One way to answer. `truth` is what such an answer is held against, `shape` how a prompt describes it."""

    read: Read | None
    """None: the whole completion is completion.parse's business, which salvages."""
    gold: Gold
    truth: type[AnyTruth]
    shape: str


GRAMMARS: dict[str, Grammar] = {
    "boxes": Grammar(None, gold_completion, Truth, SHAPE),
    "box": Grammar(box.read, box.gold, Truth, box.SHAPE),
    "points": Grammar(points.read, points.gold, CountTruth, points.SHAPE),
    "number": Grammar(number.read, number.gold, CountTruth, number.SHAPE),
    "text": Grammar(text.read, text.gold, TextTruth, text.SHAPE),
}

TASK_GRAMMARS: dict[str, tuple[str, ...]] = {
    "detect": ("boxes",),
    "ground": ("box",),
    "count": ("points", "number"),
    "read": ("text",),
}
"""The grammars that a task may be answered in; the first is its usual one."""


def read_completion(grammar: str, completion: str, view: ImageView, thinking: Thinking) -> AnyParsed:
    """The completion as an answer, or the reason why it cannot be read."""
    read = GRAMMARS[grammar].read
    if read is None:
        return parse(completion, view, thinking)
    try:
        found = blocks(completion, thinking, any_text=GRAMMARS[grammar].truth is TextTruth)
        look = to_image(look_numbers(completion, found), view, found["answer"][0])
        return read(completion, found["answer"], view, think_text(completion, found), look)
    except Bad as bad:
        return ParseFailure(bad.reason, bad.offset)
