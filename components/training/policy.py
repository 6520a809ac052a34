"""A policy on disk: a Hugging Face folder with safetensors, tokenizer and processor."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from components.errors import ModelError
from components.store.atomic import canonical_json
from components.store.digest import file_sha256

WEIGHTS = "*.safetensors"


def load_model(folder: Path, dtype: str = "float32") -> Any:
    """The model of a folder. Raises ModelError with one sentence where it cannot be loaded."""
    from transformers import AutoModelForImageTextToText

    if not (folder / "config.json").exists():
        raise ModelError(f"{folder} is not a model folder (no config.json); dvc repro makes it, or check the path")
    if not list(folder.glob(WEIGHTS)):
        raise ModelError(f"{folder} has no weights ({WEIGHTS}); pickled weights are not loaded")
    try:
        return AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True, attn_implementation="sdpa"
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder} cannot be loaded as an image-text model: {' '.join(str(error).split())}") from error


def save_policy(model: Any, processor: Any, folder: Path) -> None:
    """Writes a whole folder: weights, config, generation config, tokenizer, processor."""
    from components.training.processor import save_processor

    model.save_pretrained(folder, safe_serialization=True)
    save_processor(processor, folder)


def weights_sha256(folder: Path) -> str:
    """One digest over the weights' files, their names included."""
    files = {path.name: file_sha256(path) for path in sorted(folder.glob(WEIGHTS))}
    return hashlib.sha256(canonical_json(files).encode()).hexdigest()
