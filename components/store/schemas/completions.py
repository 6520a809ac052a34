"""What predict writes as JSON. A policy gives these lines, so every registered model carries them: no imports."""

from __future__ import annotations

from typing import TypedDict

COMPLETIONS, SAMPLES = "completions/1", "samples/1"


class SampledAnswer(TypedDict):
    """One generated text."""

    text: str
    finish_reason: str  # stop | length
    token_count: int


class GreedyAnswer(SampledAnswer):
    """The likeliest text."""

    answer_tokens: list[tuple[int, int, float]] | None
    """First character, one behind the last, log-probability of each token of the answer; null where nobody can say."""


class CompletionLine(GreedyAnswer):
    """A line of completions.jsonl: one a prompt."""

    schema: str
    sample_id: str


class SampleLine(SampledAnswer):
    """A line of samples.jsonl: as many a prompt as were drawn."""

    schema: str
    sample_id: str
    index: int


class PredictSummary(TypedDict):
    """summary.json: throughput of the generation."""

    schema: str
    images: int
    samples_per_image: int
    tokens: int
    seconds: float
    images_per_s: float
    tokens_per_s: float
    cut_at_the_limit: int
    processes: int
