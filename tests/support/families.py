"""Folders shaped like the published ones of the three families, small: configs, bf16 weights, a generation config of
their own, an image processor in its older file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from components.params.base import BaseParams
from components.params.reading import load_section

# as generation_config.json has them in Qwen2-VL-2B-Instruct, Qwen2.5-VL-3B-Instruct, Qwen3-VL
SAMPLING: dict[str, dict[str, Any]] = {
    "qwen2_vl": {"temperature": 0.01, "top_k": 1, "top_p": 0.001},
    "qwen2_5_vl": {"repetition_penalty": 1.05, "temperature": 1e-6},
    "qwen3_vl": {"top_p": 0.8, "top_k": 20, "temperature": 0.7, "repetition_penalty": 1.0},
}
PATCH = {"qwen2_vl": 14, "qwen2_5_vl": 14, "qwen3_vl": 16}


def published_folder(folder: Path, kind: str, dtype: str = "bfloat16") -> Path:
    """A folder as a family publishes it, with random weights and the tiny policy's tokenizer."""
    import torch

    from components.policy.tiny import build_tokenizer

    build = load_section(BaseParams).build
    assert build is not None
    tokenizer = build_tokenizer(build)
    torch.manual_seed(4)
    small_model(kind, tokenizer, dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    token = tokenizer.convert_tokens_to_ids
    end, pad = token("<|im_end|>"), token("<|endoftext|>")
    ends = {"pad_token_id": pad, "bos_token_id": pad, "eos_token_id": [end, pad], "do_sample": True}
    (folder / "generation_config.json").write_text(json.dumps(ends | SAMPLING[kind]))
    images = {
        "min_pixels": 3136, "max_pixels": 12845056, "patch_size": PATCH[kind], "temporal_patch_size": 2,
        "merge_size": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "image_processor_type": "Qwen2VLImageProcessor",
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    return folder


def small_model(kind: str, tokenizer: Any, dtype: str) -> Any:
    import torch
    import transformers

    token = tokenizer.convert_tokens_to_ids
    text: dict[str, Any] = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 512,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]},
        "eos_token_id": token("<|im_end|>"), "pad_token_id": token("<|endoftext|>"),
    }  # fmt: skip
    vision: dict[str, Any] = {
        "depth": 2, "num_heads": 2, "patch_size": PATCH[kind], "spatial_merge_size": 2, "temporal_patch_size": 2,
    }  # fmt: skip
    ids = {
        name: token(text)
        for name, text in (
            ("image_token_id", "<|image_pad|>"), ("video_token_id", "<|video_pad|>"),
            ("vision_start_token_id", "<|vision_start|>"), ("vision_end_token_id", "<|vision_end|>"),
        )
    }  # fmt: skip
    common: dict[str, Any] = {"tie_word_embeddings": False} | ids
    if kind == "qwen2_vl":
        vision |= {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2}
        config = transformers.Qwen2VLConfig(text_config=text, vision_config=vision, **common)
        return transformers.Qwen2VLForConditionalGeneration(config).to(getattr(torch, dtype))
    vision |= {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48}
    if kind == "qwen2_5_vl":
        vision |= {"window_size": 56, "fullatt_block_indexes": [1]}
        config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **common)
        return transformers.Qwen2_5_VLForConditionalGeneration(config).to(getattr(torch, dtype))
    vision |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    config = transformers.Qwen3VLConfig(text_config=text | {"head_dim": 16}, vision_config=vision, **common)
    return transformers.Qwen3VLForConditionalGeneration(config).to(getattr(torch, dtype))
