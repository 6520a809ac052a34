"""Plain text: what is written in the image."""

from __future__ import annotations

from components.core.boxes import Boxes
from components.core.envelope import Span, Thinking, wrapped
from components.core.frames import ImageView
from components.core.grammars.answers import TextAnswer
from components.core.scene import TextTruth

SHAPE = "the text"


def read(text: str, span: Span, view: ImageView, think: str, look: Boxes) -> TextAnswer:
    """The text as it stands; it may be empty."""
    del view
    return TextAnswer(think, look, text[slice(*span)])


def gold(truth: TextTruth, view: ImageView, look_iou: float, thinking: Thinking) -> str:
    """The text itself."""
    del view, look_iou
    return wrapped(thinking, f"I read {len(truth.text)} characters.", "[]", truth.text)
