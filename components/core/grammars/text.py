"""Plain text: what is written in the image."""

from __future__ import annotations

from components.core.boxes import Boxes, as_boxes
from components.core.completion import ParseFailure
from components.core.envelope import MAX_CHARS, SURROGATE, Span, wrapped
from components.core.frames import ImageView
from components.core.grammars.answers import TextAnswer
from components.core.scene import TextTruth
from components.core.words import Thinking

SHAPE = "the text"


def read(text: str, span: Span, view: ImageView, think: str, look: Boxes) -> TextAnswer:
    """The text as it stands, tags in it too; it may be empty."""
    del view
    return TextAnswer(think, look, text[slice(*span)])


def said(text: str) -> TextAnswer | ParseFailure:
    """A text that somebody says without an envelope: tags in it are text."""
    half = SURROGATE.search(text)
    if half:
        return ParseFailure("bad_json", half.start())
    if len(text) > MAX_CHARS:
        return ParseFailure("too_long", MAX_CHARS)
    return TextAnswer("", as_boxes([]), text)


def gold(truth: TextTruth, view: ImageView, look_iou: float, thinking: Thinking) -> str:
    """The text itself."""
    del view, look_iou
    return wrapped(thinking, f"I read {len(truth.text)} characters.", "[]", truth.text)
