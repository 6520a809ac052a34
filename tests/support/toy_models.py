"""Models of each known family with random weights, and a batch of ragged prompts for them."""

from __future__ import annotations

from typing import Any

import torch

FAMILIES = ("qwen2_5_vl", "qwen2_vl", "qwen3_vl")
MERGED = 4
"""Patches an image token."""


def widen(model: Any) -> None:
    """Weights so wide that tokens' chances differ."""
    torch.manual_seed(7)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(2.0)


def other_model(kind: str, tokens: int) -> Any:
    """A tiny model of another family that is known to work, with random weights."""
    import transformers

    text = {"vocab_size": tokens, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 1, "intermediate_size": 48, "max_position_embeddings": 256,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]},
            "tie_word_embeddings": False}  # fmt: skip
    common = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 1}
    ids = {"image_token_id": 3, "video_token_id": 4, "vision_start_token_id": 5, "vision_end_token_id": 6}
    if kind == "qwen2_vl":
        vision = common | {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2}
        config = transformers.Qwen2VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False, **ids)
        return transformers.Qwen2VLForConditionalGeneration(config)
    if kind == "qwen2_5_vl":
        vision = common | {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48, "window_size": 8,
                           "fullatt_block_indexes": [1]}  # fmt: skip
        config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False, **ids)
        return transformers.Qwen2_5_VLForConditionalGeneration(config)
    vision = common | {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48,
                       "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}  # fmt: skip
    config = transformers.Qwen3VLConfig(
        text_config=text | {"head_dim": 16}, vision_config=vision, tie_word_embeddings=False, **ids
    )
    return transformers.Qwen3VLForConditionalGeneration(config)


def ragged_batch() -> dict[str, Any]:
    """Six rows of three prompts, in no order: two images of unequal size, prompts padded on the left, completions of
    1 to 7 tokens."""
    random = torch.Generator().manual_seed(0)
    grids = torch.tensor([[1, 4, 4], [1, 2, 4], [1, 4, 4]])
    patches = [torch.randn(int(grid.prod()), 3 * 4 * 4, generator=random) for grid in grids]
    prompts = [[5] + [3] * (int(grid.prod()) // MERGED) + [6] + tail for grid, tail in
               zip(grids, ([10, 11], [12], [10, 11]), strict=True)]  # fmt: skip
    order = [0, 1, 2, 0, 2, 1]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompts[row])) + prompts[row] for row in order])
    mask = torch.tensor([[0] * (width - len(prompts[row])) + [1] * len(prompts[row]) for row in order])
    lengths = torch.tensor([7, 1, 3, 5, 7, 2])
    completions = torch.randint(10, 40, (6, 7), generator=random)
    answered = (torch.arange(7) < lengths[:, None]).long()
    return {
        "input_ids": torch.cat([ids, completions], dim=1),
        "attention_mask": torch.cat([mask, answered], dim=1),
        "pixel_values": torch.cat([patches[row] for row in order]),
        "image_grid_thw": grids[order],
    }
