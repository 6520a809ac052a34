"""What predict writes: completions.jsonl, and samples.jsonl where answers are drawn, a JSON object a line."""

from __future__ import annotations

from typing import TypedDict


class Line(TypedDict):
    """A completion, and the sample that it answers."""

    schema: str
    sample_id: str
    text: str
    finish_reason: str  # stop | length
    token_count: int


class Completion(Line):
    """The greedy one."""

    answer_tokens: list[tuple[int, int, float]] | None  # first character, one behind the last, log-probability


class SampledCompletion(Line):
    """One of several that were drawn."""

    index: int
