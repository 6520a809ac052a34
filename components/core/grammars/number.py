"""A bare number of things: ASCII digits without a leading zero, up to a million."""

from __future__ import annotations

import re

from components.core.boxes import Boxes
from components.core.envelope import Bad, Span, wrapped
from components.core.frames import ImageView
from components.core.grammars.answers import CountAnswer
from components.core.scene import CountTruth
from components.core.words import Thinking

SHAPE = "N"
LARGEST = 1_000_000
"""As many as a truth may say; a dataset's larger count is refused by name when prompts are made."""
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,6})\Z")


def read(text: str, span: Span, view: ImageView, think: str, look: Boxes) -> CountAnswer:
    """The number, white space around it let through. Raises Bad."""
    del view
    said = text[slice(*span)].strip(" \t\r\n")
    if not _NUMBER.match(said) or int(said) > LARGEST:
        raise Bad("bad_number", span[0])
    return CountAnswer(think, look, int(said), None)


def gold(truth: CountTruth, view: ImageView, look_iou: float, thinking: Thinking) -> str:
    """The count in digits."""
    del view, look_iou
    return wrapped(thinking, f"I see {truth.count}.", "[]", str(truth.count))
