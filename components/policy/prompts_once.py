"""The distinct prompts of a batch: the completions of one group share a prompt and its image, so both are paid once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False, slots=True)
class RowImages:
    """The images of one prompt; None where it has none."""

    pixel_values: Tensor | None
    """(patches of all its images, values of a patch)"""
    image_grid_thw: Tensor | None
    """(images, 3)"""

    def key(self) -> tuple[str, float] | None:
        """Tells most images apart without comparing every pixel."""
        if self.pixel_values is None or self.image_grid_thw is None:
            return None
        return str(self.image_grid_thw.tolist()), float(self.pixel_values.sum(dtype=torch.float64))

    def equals(self, other: RowImages) -> bool:
        if self.pixel_values is None or other.pixel_values is None:
            return self.pixel_values is other.pixel_values
        return torch.equal(self.pixel_values, other.pixel_values)


@dataclass(frozen=True, eq=False, slots=True)
class Prompts:
    """U distinct prompts of at most P tokens, padded on the left, and which of them each of B rows has."""

    ids: Tensor
    """(U, P)"""
    mask: Tensor
    """(U, P), 1 = a token"""
    images: list[RowImages]
    """Of each of the U prompts."""
    positions: Tensor
    """(3, U, P): what the model's rotary embedding takes: time, height, width."""
    owner: Tensor
    """(B,), an index into U"""

    def following(self, count: int) -> Tensor:
        """(3, B, count): positions of the prompt's last token and of what follows it, for each row."""
        last = self.positions[:, self.owner, -1:]
        return last + torch.arange(count, device=last.device)

    def images_of(self, chosen: Sequence[int] | None = None) -> dict[str, Tensor]:
        """What the model takes: pixel_values and image_grid_thw of these prompts (None: all), empty without images."""
        return _joined(self.images if chosen is None else [self.images[prompt] for prompt in chosen])


def distinct_prompts(model: Any, ids: Tensor, mask: Tensor, images: Sequence[RowImages]) -> Prompts:
    """Rows (B, P) with their images -> each prompt once. Two rows are one where tokens and pixels are equal.

    `model` is the Hugging Face model itself; it computes the positions.
    """
    firsts, owner = _first_rows(ids, mask, images)
    used = mask[firsts].any(dim=0)
    chosen_ids, chosen_mask = ids[firsts][:, used], mask[firsts][:, used]
    chosen = [images[row] for row in firsts]
    fields = _joined(chosen)
    positions, _ = model.model.get_rope_index(
        chosen_ids,
        mm_token_type_ids=(chosen_ids == model.config.image_token_id).int(),
        image_grid_thw=fields.get("image_grid_thw"),
        attention_mask=chosen_mask,
    )
    return Prompts(chosen_ids, chosen_mask, chosen, positions, torch.tensor(owner, device=ids.device))


def images_by_row(
    rows: int,
    pixel_values: Tensor | None = None,
    image_grid_thw: Tensor | None = None,
    num_images: Sequence[int] | None = None,
) -> list[RowImages]:
    """Patches and grids of a whole batch -> each row's own; without `num_images` one image a row."""
    if pixel_values is None or image_grid_thw is None:
        return [RowImages(None, None)] * rows
    grids = image_grid_thw.split(list(num_images) if num_images else [1] * rows)
    patches = pixel_values.split([int(grid.prod(-1).sum()) for grid in grids])
    return [RowImages(*both) for both in zip(patches, grids, strict=True)]


def _joined(images: Sequence[RowImages]) -> dict[str, Tensor]:
    pixels = [one.pixel_values for one in images if one.pixel_values is not None]
    grids = [one.image_grid_thw for one in images if one.image_grid_thw is not None]
    return {"pixel_values": torch.cat(pixels), "image_grid_thw": torch.cat(grids)} if pixels else {}


def _first_rows(ids: Tensor, mask: Tensor, images: Sequence[RowImages]) -> tuple[list[int], list[int]]:
    """The first row of each distinct prompt, and for every row which of them it repeats."""
    firsts: list[int] = []
    owner: list[int] = []
    alike: dict[object, list[int]] = defaultdict(list)
    for row, (tokens, kept) in enumerate(zip(ids.tolist(), mask.tolist(), strict=True)):
        candidates = alike[tuple(tokens), tuple(kept), images[row].key()]
        same = next((one for one in candidates if images[firsts[one]].equals(images[row])), None)
        if same is None:
            same = len(firsts)
            firsts.append(row)
            candidates.append(same)
        owner.append(same)
    return firsts, owner
