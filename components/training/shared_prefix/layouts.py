"""Log-probabilities of a group's completions with the prompt paid once: two layouts of one exact computation.

two-part: the prompts go through the model once and leave keys and values; the completions, a row each, attend to them.
Attention costs P^2 + G C (P + C), as little as can be.
packed: one row `prompt | completion 1 | ... | completion k`, whose mask lets a completion see the prompt and itself.
One forward pass and no cache, so it goes with gradient checkpointing and ZeRO-3; attention costs (P + k C)^2, and k is
chosen for that. The idea is published as Prefix Grouper, arXiv:2506.05433; the code is ours.

Either way the prompt's last token stands in front of each completion, since it predicts the first token.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from components.policy.prompts_once import Prompts

NO_LABEL = -100
PROMPT, PADDING = 0, -1
REPEATED_PROMPT = 2
"""A prompt's token is counted so many times: its image is encoded too, at about the price of its text."""


@dataclass(frozen=True, eq=False, slots=True)
class Completions:
    """B completions of at most C tokens, padded on the right; a row without a token carries no label."""

    ids: Tensor
    """(B, C)"""
    mask: Tensor
    """(B, C), 1 = a token"""

    def inputs(self, prompts: Prompts) -> Tensor:
        """(B, C): what each label is predicted from: the prompt's last token, then the completion."""
        return torch.cat([prompts.ids[prompts.owner, -1:], self.ids[:, :-1]], dim=1)

    def labels(self) -> Tensor:
        """(B, C), -100 = none"""
        return self.ids.masked_fill(self.mask == 0, NO_LABEL)


Scored = tuple[Tensor, Tensor | None]
"""Log-probabilities (B, C) and, where the model's head gives it, entropies (B, C); 0 where no label is."""


def layout_costs(config: Any, prompts: Prompts, completions: Completions) -> tuple[float, float, int]:
    """Multiplications of two-part, of packed at its best number of completions a row, and that number.

    A token costs twice the layers' weights, a pair of tokens that attend four times layers times width.
    """
    token, pair = _prices(config)
    lengths, prompt = completions.mask.sum(dim=1).tolist(), prompts.ids.shape[1]
    owner = prompts.owner.tolist()

    def packed_cost(per_row: int) -> float:
        rows = [prompt + sum(lengths[row] for row in members) for _, members in pack_rows(owner, per_row)]
        width = max(rows)
        return len(rows) * (width * token + (REPEATED_PROMPT - 1) * prompt * token + width**2 * pair)

    group = max(owner.count(prompt) for prompt in range(len(prompts.ids)))
    best = min((math.ceil(group / parts) for parts in range(1, group + 1)), key=packed_cost)
    longest = completions.ids.shape[1]
    parted = len(prompts.ids) * (REPEATED_PROMPT * prompt * token + prompt**2 * pair)
    parted += len(lengths) * longest * (token + (prompt + longest) * pair)
    return parted, packed_cost(best), best


def stock_cost(config: Any, prompts: Prompts, completions: Completions) -> float:
    """Multiplications of TRL's own step, where each completion has its prompt and image in its row."""
    token, pair = _prices(config)
    rows, longest = completions.ids.shape
    prompt = prompts.ids.shape[1]
    return rows * ((REPEATED_PROMPT * prompt + longest) * token + (prompt + longest) ** 2 * pair)


def _prices(config: Any) -> tuple[float, float]:
    """Multiplications of a token, and of a pair of tokens that attend."""
    text = config.get_text_config()
    heads, keys = text.num_attention_heads, text.num_key_value_heads
    layer = text.hidden_size**2 * (2 + 2 * keys / heads) + 3 * text.hidden_size * text.intermediate_size
    return 2 * text.num_hidden_layers * layer, 4 * text.num_hidden_layers * text.hidden_size


def two_part(model: nn.Module, prompts: Prompts, completions: Completions) -> Scored:
    """Scores through keys and values of the prompts. `model` has TRL's fused head and may be wrapped (DDP, ZeRO-2)."""
    cache = DynamicCache()
    model(
        input_ids=prompts.ids[:, :-1],
        attention_mask=prompts.mask[:, :-1],
        position_ids=prompts.positions[:, :, :-1],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
        **prompts.images_of(),
    )
    repeat_cache(cache, prompts.owner)
    answered = torch.ones_like(completions.mask[:, :1])
    outputs = model(
        input_ids=completions.inputs(prompts),
        attention_mask=torch.cat([prompts.mask[prompts.owner, :-1], answered, completions.mask[:, :-1]], dim=1),
        position_ids=prompts.following(completions.ids.shape[1]),
        past_key_values=cache,
        shift_labels=completions.labels(),
        fused_lm_head=True,
    )
    return outputs.log_probs, outputs.entropy


def repeat_cache(cache: DynamicCache, owner: Tensor) -> None:
    """Keys and values of prompts (U) -> of the rows that continue them (B); gradients add up behind it."""
    layers: list[Any] = cache.layers
    for layer in layers:
        layer.keys, layer.values = layer.keys.index_select(0, owner), layer.values.index_select(0, owner)


def packed(model: nn.Module, prompts: Prompts, completions: Completions, per_row: int) -> Scored:
    """Scores with at most `per_row` completions of one prompt behind it in a row."""
    rows = pack_rows(prompts.owner.tolist(), per_row)
    lengths = completions.mask.sum(dim=1).tolist()
    inputs, labels = completions.inputs(prompts), completions.labels()
    following = prompts.following(completions.ids.shape[1])
    lines: list[tuple[Tensor, ...]] = []
    place, begin = [0] * len(lengths), [0] * len(lengths)
    for line, (prompt, members) in enumerate(rows):
        real = prompts.mask[prompt, :-1].bool()
        ids, positions = prompts.ids[prompt, :-1][real], prompts.positions[:, prompt, :-1][:, real]
        pieces = [(ids, torch.full_like(ids, NO_LABEL), positions.T, torch.full_like(ids, PROMPT))]
        end = len(ids)
        for number, row in enumerate(members, PROMPT + 1):
            place[row], begin[row], end = line, end, end + lengths[row]
            own = slice(lengths[row])
            ids = inputs[row, own]
            pieces.append((ids, labels[row, own], following[:, row, own].T, torch.full_like(ids, number)))
        lines.append(tuple(torch.cat(column) for column in zip(*pieces, strict=True)))
    ids, wanted, positions, segments = (
        pad_sequence(list(column), batch_first=True, padding_value=padding)
        for column, padding in zip(zip(*lines, strict=True), (0, NO_LABEL, 0, PADDING), strict=True)
    )
    outputs = model(
        input_ids=ids,
        attention_mask=packed_mask(segments),
        position_ids=positions.permute(2, 0, 1),
        shift_labels=wanted,
        fused_lm_head=True,
        **prompts.images_of([prompt for prompt, _ in rows]),
    )
    return _unpacked(outputs, place, begin, completions.mask)


def pack_rows(owner: list[int], per_row: int) -> list[tuple[int, list[int]]]:
    """(prompt, its rows), at most `per_row` rows each, in equal shares."""
    members: dict[int, list[int]] = {}
    for row, prompt in enumerate(owner):
        members.setdefault(prompt, []).append(row)
    packed_rows: list[tuple[int, list[int]]] = []
    for prompt, rows in members.items():
        share = math.ceil(len(rows) / math.ceil(len(rows) / per_row))
        packed_rows += [(prompt, rows[start : start + share]) for start in range(0, len(rows), share)]
    return packed_rows


def packed_mask(segments: Tensor) -> Tensor:
    """(R, 1, L, L), True = may be seen: what came before in the prompt or in the same completion.

    Padding sees itself, so that no row of the softmax is empty.
    """
    length = segments.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    seen, seeing = segments[:, None, :], segments[:, :, None]
    return (before & ((seen == PROMPT) | (seen == seeing)))[:, None]


def _unpacked(outputs: Any, place: list[int], begin: list[int], mask: Tensor) -> Scored:
    """Scores (R, L) of the packed rows -> (B, C)."""
    line = torch.tensor(place, device=mask.device)[:, None]
    column = torch.tensor(begin, device=mask.device)[:, None] + torch.arange(mask.shape[1], device=mask.device)
    column = column.clamp(max=outputs.log_probs.shape[1] - 1)
    entropy = outputs.entropy
    return outputs.log_probs[line, column] * mask, None if entropy is None else entropy[line, column] * mask
