"""The envelope of a completion: tagged blocks, once each, in one order, and nothing but white space around them.

How much a model thinks before it answers is a setting: `look` has <think>, <look> and <answer>, `think` leaves the
look out, `none` is the answer alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from components.core.words import Thinking

FailureReason = Literal[
    "empty", "structure", "blank_think", "truncated", "bad_json", "bad_shape", "bad_number", "bad_box", "too_long",
    "too_many",
]  # fmt: skip
BLOCKS: dict[Thinking, tuple[str, ...]] = {
    "look": ("think", "look", "answer"),
    "think": ("think", "answer"),
    "none": ("answer",),
}
Span = tuple[int, int]
MAX_CHARS = 200_000
"""A longer completion is not read."""
SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character: no file can hold it."""


class Bad(Exception):  # noqa: N818  (control flow inside core, never raised out of a parse)
    """A completion that cannot be read: why, and where."""

    def __init__(self, reason: FailureReason, offset: int) -> None:
        self.reason: FailureReason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True)
class _Tags:
    names: tuple[str, ...]
    pattern: re.Pattern[str]
    order: tuple[str, ...]


_AGAIN = re.compile(r"</answer>\s*<answer>")
"""A second answer behind the first."""


@cache
def _tags(thinking: Thinking) -> _Tags:
    names = BLOCKS[thinking]
    order = tuple(tag for name in names for tag in (f"<{name}>", f"</{name}>"))
    return _Tags(names, re.compile(rf"</?(?:{'|'.join(names)})>"), order)


def blocks(text: str, thinking: Thinking, any_text: bool = False) -> dict[str, Span]:
    """Inner character range of each block by its name. Raises Bad.

    any_text: the answer is whatever is written in an image, tags too, so it ends at the last </answer>.
    """
    if len(text) > MAX_CHARS:
        raise Bad("too_long", MAX_CHARS)
    if not text.strip():
        raise Bad("empty", 0)
    half = None if text.isascii() else SURROGATE.search(text)
    if half:
        raise Bad("bad_json", half.start())
    wanted = _tags(thinking)
    tags = list(wanted.pattern.finditer(text))
    order = wanted.order
    if any_text and not _AGAIN.search(text):
        tags = _without_those_of_the_answer(tags, len(order))
    in_order = [tag.group() for tag in tags] == list(order[: len(tags)])
    if len(tags) < len(order):
        if in_order and len(tags) % 2 and _outside_is_blank(text, tags):
            raise Bad("truncated", len(text))
        raise Bad("structure", tags[0].start() if tags else 0)
    if not in_order:
        wrong = next(i for i, tag in enumerate(tags) if i >= len(order) or tag.group() != order[i])
        raise Bad("structure", tags[wrong].start())
    if not _outside_is_blank(text, tags):
        raise Bad("structure", 0)
    spans = {name: (tags[2 * i].end(), tags[2 * i + 1].start()) for i, name in enumerate(wanted.names)}
    if "think" in spans and not text[slice(*spans["think"])].strip():
        raise Bad("blank_think", spans["think"][0])
    return spans


def _without_those_of_the_answer(tags: list[re.Match[str]], count: int) -> list[re.Match[str]]:
    """The tags up to the answer's first, and the last that closes it."""
    closing = [place for place, tag in enumerate(tags) if place >= count - 1 and tag.group() == "</answer>"]
    return tags[: count - 1] + [tags[place] for place in closing[-1:]]


def _outside_is_blank(text: str, tags: Sequence[re.Match[str]]) -> bool:
    gaps = [text[: tags[0].start()]]
    gaps += [text[tags[i].end() : tags[i + 1].start()] for i in range(1, len(tags) - 1, 2)]
    if len(tags) % 2 == 0:
        gaps.append(text[tags[-1].end() :])
    return not any(gap.strip() for gap in gaps)


def wrapped(thinking: Thinking, think: str, look: str, answer: str) -> str:
    """The completion whose blocks hold these texts; what the setting leaves out is left out."""
    bodies = {"think": think, "look": look, "answer": answer}
    return "".join(f"<{name}>{bodies[name]}</{name}>" for name in BLOCKS[thinking])
