"""Sampling completions of prompts that several rows share: each prompt and its image go through the model once.

The tokens are those that `generate` draws from the same seed: its noise is drawn for every row of the batch at every
step, also for rows that have ended, so that dropping these changes nothing for the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    Cache,
    MinPLogitsWarper,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.cache_utils import DynamicLayer

from components.training.shared_prefix.prompts_once import Prompts

KEPT_FRAC = 0.75
"""Ended rows are dropped once so few still go on: each time the whole cache is copied."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn."""

    temperature: float
    top_p: float
    ends: tuple[int, ...]
    """Tokens that end a completion; they belong to it."""
    never: tuple[int, ...]
    """Tokens that are not drawn."""
    top_k: int = 0
    """0: all tokens."""
    min_p: float | None = None

    def steps(self, device: torch.device) -> list[Any]:
        """transformers' own processors of logits, in the order of `generate`."""
        steps: list[Any] = [SuppressTokensLogitsProcessor(list(self.never), device=str(device))]
        if self.temperature != 1.0:
            steps.append(TemperatureLogitsWarper(self.temperature))
        if self.top_k:
            steps.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1.0:
            steps.append(TopPLogitsWarper(self.top_p))
        if self.min_p is not None:
            steps.append(MinPLogitsWarper(self.min_p))
        return steps


class RoomyLayer(DynamicLayer):
    """Keys and values of one layer with room for what is still to come: a step copies its own token only."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room, self._length = room, 0
        self._all: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """(B, heads, new tokens, width) -> all so far."""
        if self._all is None:
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
            shape = (*key_states.shape[:2], self._room, key_states.shape[3])
            self._all = key_states.new_empty(shape), value_states.new_empty(shape)
        begin, self._length = self._length, self._length + key_states.shape[2]
        for everything, new in zip(self._all, (key_states, value_states), strict=True):
            everything[:, :, begin : self._length] = new
        self.keys, self.values = (one[:, :, : self._length] for one in self._all)
        return self.keys, self.values

    def take_rows(self, rows: Tensor) -> None:
        """Keeps these rows, in this order; a row may stand there twice."""
        if self._all is not None:
            self._all = self._all[0].index_select(0, rows), self._all[1].index_select(0, rows)
            self.keys, self.values = (one[:, :, : self._length] for one in self._all)


def sample_completions(model: Any, prompts: Prompts, sampling: Sampling, max_new_tokens: int) -> list[list[int]]:
    """A completion for each row of `prompts.owner`, its end token included, at most `max_new_tokens` long."""
    owner, device = prompts.owner, prompts.ids.device
    width, depth = prompts.ids.shape[1], model.config.get_text_config().num_hidden_layers
    layers = [RoomyLayer(width + max_new_tokens) for _ in range(depth)]
    cache = Cache(layers=list(layers))
    logits = model(
        input_ids=prompts.ids, attention_mask=prompts.mask, position_ids=prompts.positions,
        past_key_values=cache, use_cache=True, logits_to_keep=1, **prompts.images_of(),
    ).logits[:, -1].float()[owner]  # fmt: skip
    for layer in layers:
        layer.take_rows(owner)
    ends, steps = torch.tensor(sampling.ends, device=device), sampling.steps(device)
    going = torch.arange(len(owner), device=device)
    """The rows that have not ended, by their place in the batch."""
    unended = torch.ones(len(owner), dtype=torch.bool, device=device)
    mask = torch.cat([prompts.mask[owner], prompts.mask.new_ones(len(owner), max_new_tokens)], dim=1).bool()
    positions = prompts.following(max_new_tokens + 1)[:, :, 1:]
    drawn: list[tuple[Tensor, Tensor]] = []
    for step in range(max_new_tokens):
        noise = torch.empty(len(owner), logits.shape[1], device=device).exponential_(1)
        for change in steps:
            logits = change(None, logits)  # none of them looks at the tokens before
        tokens = (logits.softmax(-1) / noise[going]).argmax(-1)
        drawn.append((going, tokens))
        unended[going] &= ~torch.isin(tokens, ends)
        on = unended[going]
        left = int(on.sum())
        if step + 1 == max_new_tokens or not left:
            break
        if left <= KEPT_FRAC * len(going):
            kept = on.nonzero()[:, 0]
            going, tokens = going[kept], tokens[kept]
            for layer in layers:
                layer.take_rows(kept)
        logits = model(
            input_ids=tokens[:, None], attention_mask=mask[going, None, None, : width + step + 1],
            position_ids=positions[:, going, step : step + 1], past_key_values=cache, use_cache=True, logits_to_keep=1,
        ).logits[:, -1].float()  # fmt: skip
    return _until_their_end(drawn, len(owner), sampling.ends)


def _until_their_end(drawn: list[tuple[Tensor, Tensor]], rows: int, ends: tuple[int, ...]) -> list[list[int]]:
    completions: list[list[int]] = [[] for _ in range(rows)]
    for going, tokens in drawn:
        for row, token in zip(going.tolist(), tokens.tolist(), strict=True):
            if not completions[row] or completions[row][-1] not in ends:
                completions[row].append(token)
    return completions
