"""A policy on disk: a Hugging Face folder with safetensors, tokenizer and processor."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from components.errors import ModelError
from components.policy.weight_files import WEIGHTS
from components.store.atomic import canonical_json
from components.store.digest import file_sha256

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

    from components.policy.processor import Processor

TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")


def load_model(folder: Path, dtype: str = "float32") -> PreTrainedModel:
    """The model of a folder, whose generation config has nothing but its special tokens: no sampling setting of the
    folder acts, params name them all. Raises ModelError with one sentence where it cannot be loaded.
    """
    from transformers import AutoModelForImageTextToText

    if not (folder / "config.json").exists():
        raise ModelError(f"{folder} is not a model folder (no config.json); dvc repro makes it, or check the path")
    if not list(folder.glob(WEIGHTS)):
        raise ModelError(f"{folder} has no weights ({WEIGHTS}); pickled weights are not loaded")
    try:
        model = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True, attn_implementation="sdpa"
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder} cannot be loaded as an image-text model: {' '.join(str(error).split())}") from error
    model.generation_config = greedy_config(model.generation_config)
    return model


def greedy_config(theirs: object, tokenizer: PreTrainedTokenizerBase | None = None) -> GenerationConfig:
    """Greedy decoding with the special tokens of another generation config, and nothing else of it.

    Published families ship a temperature, top_p, top_k or a repetition penalty: these would act where a caller leaves
    them open, and none of them may be saved beside greedy decoding. The tokenizer's own end token ends an answer too,
    as it does in TRL's rollouts.
    """
    from transformers import GenerationConfig

    tokens = {name: getattr(theirs, name, None) for name in TOKENS}
    if tokenizer is not None:
        ends = tokens["eos_token_id"]
        ends = list(ends) if isinstance(ends, list) else [] if ends is None else [ends]
        if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ends:
            ends.insert(0, tokenizer.eos_token_id)
        tokens["eos_token_id"] = ends[0] if len(ends) == 1 else ends or None
        if tokens["pad_token_id"] is None:
            tokens["pad_token_id"] = tokenizer.pad_token_id
    return GenerationConfig(do_sample=False, **tokens)


def save_policy(model: PreTrainedModel, processor: Processor, folder: Path, dtype: str | None = None) -> None:
    """Writes a whole folder: weights (in `dtype` where given), config, greedy generation config, tokenizer, processor.

    `folder` then says by itself how it is to be used: config.json's dtype is the weights' precision, and
    generation_config.json is greedy with all end tokens.
    """
    import torch

    from components.policy.processor import save_processor

    model.generation_config = greedy_config(model.generation_config, processor.tokenizer)
    stored = model if dtype is None else model.to(getattr(torch, dtype))
    stored.save_pretrained(folder, safe_serialization=True)
    save_processor(processor, folder, model.config.model_type)
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors makes 0600: who shares the registry must be able to read the weights


def weights_sha256(folder: Path) -> str:
    """One digest over the weights' files, their names included."""
    return weights_digest({path.name: file_sha256(path) for path in folder.glob(WEIGHTS)})


def weights_digest(files: Mapping[str, str]) -> str:
    """As `weights_sha256`, of a folder's files as digests by their names."""
    weights = {name: digest for name, digest in files.items() if PurePath(name).match(WEIGHTS)}
    return hashlib.sha256(canonical_json(weights).encode()).hexdigest()
