"""Why an answer cannot be read, in words, and the place in its text."""

from __future__ import annotations

from components.core.envelope import FailureReason

WORDS: dict[FailureReason, str] = {
    "empty": "nothing was said",
    "structure": "the tags <think>, <look>, <answer> do not stand once each and in order",
    "blank_think": "the thought is blank",
    "truncated": "the answer ends in its middle: it was cut at the token limit, or stopped",
    "bad_json": "what stands in a tag is not the JSON that was asked for",
    "bad_shape": "a value has another shape than was asked for",
    "bad_number": "a number is none that can be used",
    "bad_box": "a box has no area in the image, or its corners are exchanged",
    "too_long": "the answer is longer than what is read",
    "too_many": "the answer has more items than are read",
}
AROUND = 200
"""Characters of the text that are shown on each side of the place."""


def why(reason: str) -> str:
    """The reason in words; a reason without words is its own.

    >>> why("blank_think")
    'the thought is blank'
    """
    return next((words for name, words in WORDS.items() if name == reason), reason)


def around(text: str, offset: int) -> tuple[str, str]:
    """The text before the place and from it on, cut to what is worth showing; `...` where more was said.

    >>> around("<answer>nobody</answer>", 8)
    ('<answer>', 'nobody</answer>')
    """
    place = min(max(offset, 0), len(text))
    before, after = text[max(0, place - AROUND) : place], text[place : place + AROUND]
    return ("..." if place > AROUND else "") + before, after + ("..." if len(text) > place + AROUND else "")
