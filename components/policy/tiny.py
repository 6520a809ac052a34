"""A Qwen2.5-VL built from nothing: vocabulary, processor and random weights, from params alone."""

from __future__ import annotations

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from components.params.base import BuildParams
from components.policy.processor import Qwen2_5_VLProcessor

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
MERGE_SIZE = 2
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tokenizer(params: BuildParams) -> PreTrainedTokenizerFast:
    """Bytes, and one token for each number (alone, and with a comma) and each literal piece of the grammar."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    numbers = [
        f"{n}{comma}" for n in range(params.max_number + 1) for comma in ("", ",") if f"{n}{comma}" not in alphabet
    ]
    literal = [*params.pieces, *numbers]
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in literal])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        model_max_length=params.max_length,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def build_processor(params: BuildParams) -> Qwen2_5_VLProcessor:
    """Tokenizer and image processor; image bounds are areas in pixels."""
    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": params.min_pixels, "longest_edge": params.max_pixels},
        patch_size=params.vision.patch_size,
        merge_size=MERGE_SIZE,
        temporal_patch_size=2,
    )
    return Qwen2_5_VLProcessor(images, build_tokenizer(params), chat_template=CHAT_TEMPLATE)


def build_model(params: BuildParams, tokenizer: PreTrainedTokenizerBase) -> Qwen2_5_VLForConditionalGeneration:
    """Random weights of the params' seed, float32."""
    torch.manual_seed(params.seed)
    return Qwen2_5_VLForConditionalGeneration(_config(params, tokenizer))


def _config(params: BuildParams, tokenizer: PreTrainedTokenizerBase) -> Qwen2_5_VLConfig:
    token = tokenizer.get_vocab()
    text, vision = params.text, params.vision
    quarter = text.hidden_size // text.heads // 8  # sum(mrope_section) must be head_dim / 2
    half = text.hidden_size // text.heads // 2
    sections = [half - 2 * (quarter + quarter // 2), quarter + quarter // 2, quarter + quarter // 2]
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": text.hidden_size,
            "num_hidden_layers": text.layers,
            "num_attention_heads": text.heads,
            "num_key_value_heads": text.key_value_heads,
            "intermediate_size": text.intermediate_size,
            "max_position_embeddings": params.max_length,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": sections},
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": token["<|im_end|>"],
            "pad_token_id": token["<|endoftext|>"],
        },
        vision_config={
            "hidden_size": vision.hidden_size,
            "out_hidden_size": text.hidden_size,
            "depth": vision.depth,
            "num_heads": vision.heads,
            "intermediate_size": vision.intermediate_size,
            "patch_size": vision.patch_size,
            "spatial_patch_size": vision.patch_size,
            "spatial_merge_size": MERGE_SIZE,
            "temporal_patch_size": 2,
            "window_size": vision.window_px,
            "fullatt_block_indexes": list(range(vision.depth)),
        },
        image_token_id=token["<|image_pad|>"],
        video_token_id=token["<|video_pad|>"],
        vision_start_token_id=token["<|vision_start|>"],
        vision_end_token_id=token["<|vision_end|>"],
        tie_word_embeddings=True,
    )
