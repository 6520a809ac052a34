"""What prompts' summary.json says: what was taken, what was left out and why."""

from __future__ import annotations

from typing import TypedDict


class Histogram(TypedDict):
    """N counts between N + 1 edges."""

    edges: list[float]
    counts: list[int]


class TokenBudget(TypedDict):
    """How long the gold answers are, in tokens, and what the limit keeps of them."""

    p50: int
    p90: int
    p99: int
    max: int
    limit: int
    too_long: int
    limit_that_keeps_99_percent: int
    histogram: Histogram


class PeopleHeights(TypedDict):
    """How tall people are in the model's pixels."""

    p1: float
    p50: float
    p99: float
    min_height_px: float
    below_frac: float


class PromptSummary(TypedDict):
    """The file. Where a key is a split or a dataset, what has nothing to say is left out."""

    schema: str
    samples: dict[str, int]
    samples_by_dataset: dict[str, dict[str, int]]
    tasks: dict[str, str]
    asked_though_too_long: dict[str, int]
    refused_too_long: dict[str, int]
    refused: dict[str, dict[str, int]]  # split -> reason -> samples
    gold_tokens: TokenBudget
    person_height_in_model_px: PeopleHeights | None
    pixels_factor_for_min_height: float
    templates: dict[str, str]  # path -> SHA-256
    left_out_as_held_out: dict[str, dict[str, int]]  # dataset -> rule -> training images
