"""Drawing completions of prompts that several rows share: each prompt and its image go through the model once.

One sampler for rollouts, predict and the registered model. The tokens are those that `generate` draws from the same
seed: noise is drawn for every row of the batch at every step, also for rows that have ended, so that dropping these
changes nothing for the others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    MinPLogitsWarper,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from components.policy.decoding_step import DecodingStep
from components.policy.prompts_once import Prompts

KEPT_FRAC = 0.75
"""Ended rows are dropped once so few still go on: each time the whole cache is copied."""
LEAST_ROWS = 8
"""Fewer rows do not make a captured step faster (7.7 ms for 8 rows of 3 billion parameters, 8.7 for 64, on an H100)."""
LOOK_EVERY = 8
"""Steps on a GPU from one look at which rows have ended to the next: each look waits for all that was launched."""

NEVER = -100.0
"""What vLLM adds to the logit of a token that is not to be drawn: the most that it takes away."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn: nothing of the model's folder acts."""

    ends: tuple[int, ...]
    """Tokens that end a completion; they belong to it."""
    never: tuple[int, ...]
    """Tokens that are not drawn."""
    temperature: float | None = None
    """None: the likeliest token, whatever stands below."""
    top_p: float = 1.0
    top_k: int = 0
    """0: all tokens."""
    min_p: float | None = None

    def changes(self, device: torch.device) -> list[Any]:
        """transformers' own processors of logits, in the order of `generate`; none looks at the tokens before."""
        changes: list[Any] = [SuppressTokensLogitsProcessor(list(self.never), device=str(device))]
        if self.temperature is None:
            return changes
        if self.temperature != 1.0:
            changes.append(TemperatureLogitsWarper(self.temperature))
        if self.top_k:
            changes.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1.0:
            changes.append(TopPLogitsWarper(self.top_p))
        if self.min_p is not None:
            changes.append(MinPLogitsWarper(self.min_p))
        return changes


@dataclass(frozen=True, slots=True)
class Drawn:
    """One completion."""

    tokens: list[int]
    """Its end token included, where it has one."""
    logprobs: list[float]
    """Of each token, by the policy itself: at temperature 1, before anything is left out. Empty where not asked for."""


def sample_completions(
    model: Any,
    prompts: Prompts,
    sampling: Sampling,
    max_new_tokens: int,
    *,
    logprobs: bool = False,
    seconds: float | None = None,
    capture: bool = True,
) -> list[Drawn]:
    """A completion for each row of `prompts.owner`, at most `max_new_tokens` long; all end after so many seconds.

    On a GPU a step is captured as a CUDA graph, unless `capture` is False; `model` is called as it is, in its wrappers.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    rows, device = len(prompts.owner), prompts.ids.device
    step = DecodingStep(model, prompts, sampling.changes(device), max_new_tokens, logprobs=logprobs, capture=capture)
    ends = torch.tensor(sampling.ends, device=device)
    going = torch.arange(rows, device=device)
    """The rows that are decoded, by their place in the batch."""
    unended = torch.ones(rows, dtype=torch.bool, device=device)
    drawn: list[tuple[Tensor, Tensor, Tensor]] = []
    for number in range(max_new_tokens):
        noise = None
        if sampling.temperature is not None:
            noise = torch.empty(rows, step.vocabulary, device=device).exponential_(1)[going]
        tokens, chances = step.draw(noise)
        drawn.append((going, tokens.clone(), chances.clone()))
        unended[going] &= ~torch.isin(tokens, ends)
        if number + 1 == max_new_tokens or (deadline is not None and time.monotonic() >= deadline):
            break
        if step.captured and (number + 1) % LOOK_EVERY:
            continue
        kept = _kept(unended[going], step.captured)
        if kept is None:
            break
        if len(kept) < len(going):
            going = going[kept]
            step.take_rows(kept)
    return _until_their_end(drawn, rows, sampling.ends, logprobs)


def _kept(on: Tensor, captured: bool) -> Tensor | None:
    """Which of the rows are decoded further, given those that have not ended; None where all have.

    A captured step stays as it is until half of its rows have ended: each number of rows is captured anew.
    """
    left = int(on.sum())
    if not left:
        return None
    most = len(on)
    if captured:
        most = max(LEAST_ROWS, 1 << (left - 1).bit_length())
    elif left <= KEPT_FRAC * len(on):
        most = left
    if most >= len(on):
        return torch.arange(len(on), device=on.device)
    return on.int().argsort(descending=True, stable=True)[:most].sort().values


def _until_their_end(
    drawn: list[tuple[Tensor, Tensor, Tensor]], rows: int, ends: tuple[int, ...], logprobs: bool
) -> list[Drawn]:
    found = [Drawn([], []) for _ in range(rows)]
    for going, tokens, chances in drawn:
        for row, token, chance in zip(going.tolist(), tokens.tolist(), chances.tolist(), strict=True):
            one = found[row]
            if not one.tokens or one.tokens[-1] not in ends:
                one.tokens.append(token)
                if logprobs:
                    one.logprobs.append(chance)
    return found
