"""The architectures that are known to work: how each speaks about places, and its processor's stock name.

A model of another type is refused before anything is made of it: it would fail inside transformers, after prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.words import ModelFrame
from components.errors import ModelError
from components.store.digest import file_sha256
from components.store.json_file import parse_json, read_json

ORIGIN = "lookout_base.json"
"""In models/base: where it came from, the digest of each file, and how it says coordinates."""
TAKEN = {".json", ".safetensors", ".txt", ".jinja"}
"""Ends of the names of a checkpoint's files that are copied; never pickles, never code."""


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    """What people call it."""
    processor: str
    """The stock processor's class, which a saved folder names."""
    video_processor: str
    frame: ModelFrame
    """How its published checkpoints say coordinates: pixels of the resized image, or thousandths of its sides."""


FAMILIES = {
    "qwen2_vl": Family("Qwen2-VL", "Qwen2VLProcessor", "Qwen2VLVideoProcessor", "relative_1000"),
    "qwen2_5_vl": Family("Qwen2.5-VL", "Qwen2_5_VLProcessor", "Qwen2VLVideoProcessor", "resized"),
    "qwen3_vl": Family("Qwen3-VL", "Qwen3VLProcessor", "Qwen3VLVideoProcessor", "relative_1000"),
}
"""By config.json's model_type. Frames as the authors' own grounding examples have them; tests hold each family."""


def family_of(folder: Path) -> Family:
    """The family of a model folder. Raises ModelError where its config.json is missing, broken or of another type."""
    config = read_config(folder)
    kind = config.get("model_type")
    if kind not in FAMILIES:
        known = ", ".join(f"{family.name} ({name})" for name, family in FAMILIES.items())
        raise ModelError(f"{folder} is a model of type {kind!r}, which is not known to work; want one of {known}")
    return FAMILIES[kind]


def read_config(folder: Path) -> dict[str, Any]:
    """config.json as plain values. Raises ModelError where there is none that can be read."""
    path = folder / "config.json"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            f"{folder} is not a model folder (no config.json); dvc repro makes it, or check the path"
        ) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error}); is the download whole?") from None
    config = parse_json(content, str(path), "is the download whole?", fails=ModelError)
    if not isinstance(config, dict):
        raise ModelError(f"{path} holds {type(config).__name__}, want a mapping with model_type")
    return config


def patch_factor(config: dict[str, Any]) -> int | None:
    """Sides of images become multiples of it: patch size times merge size. None where the config does not say both."""
    vision = config.get("vision_config")
    if not isinstance(vision, dict):
        return None
    patch, merge = vision.get("patch_size"), vision.get("spatial_merge_size")
    return patch * merge if isinstance(patch, int) and isinstance(merge, int) else None


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a checkpoint that is taken, by its name."""
    return {path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.suffix in TAKEN}


def check_frame(base: Path, frame: str) -> None:
    """Raises ModelError where prompts.frame is not how the base in this folder says coordinates."""
    path = base / ORIGIN
    speaks = read_json(path).get("frame") if path.exists() else None
    if speaks is not None and speaks != frame:
        raise ModelError(
            f"prompts.frame is {frame}, but the base ({family_of(base).name}) says coordinates as {speaks}: set "
            f"prompts.frame: {speaks}, or base.pretrained.frame: {frame} where this checkpoint was taught otherwise"
        )
