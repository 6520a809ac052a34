"""Qwen2.5-VL's processor without its video part: that part alone needs torchvision.

The class keeps the stock name, and a `video_processor` entry is saved with it, so that the stock
AutoProcessor loads the same folder where torchvision is installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from transformers.models.qwen2_5_vl import processing_qwen2_5_vl as stock
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.processing_utils import ProcessorMixin

from components.errors import ModelError

CONFIG = "processor_config.json"


class Qwen2_5_VLProcessor(stock.Qwen2_5_VLProcessor):  # noqa: N801  (the stock name, which is saved)
    """Images and text in, tensors out; no video."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **kwargs: Any
    ) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template, **kwargs)


def load_processor(folder: Path, min_pixels: int | None = None, max_pixels: int | None = None) -> Any:
    """The processor of a model folder, image bounds replaced where given.

    Raises ModelError where the folder has no tokenizer or no image processor.
    """
    if not (folder / "tokenizer.json").exists() and not (folder / "vocab.json").exists():
        raise ModelError(f"{folder} has no tokenizer (tokenizer.json); is it a whole model folder?")
    if not (folder / CONFIG).exists() and not (folder / "preprocessor_config.json").exists():
        raise ModelError(f"{folder} has no image processor ({CONFIG}); is it a vision-language model?")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
    images = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True)
    if min_pixels is not None and max_pixels is not None:
        images.size = {"shortest_edge": min_pixels, "longest_edge": max_pixels}
    return Qwen2_5_VLProcessor(images, tokenizer, chat_template=tokenizer.chat_template or _template(folder))


def save_processor(processor: Any, folder: Path) -> None:
    """Saves it so that both this loader and the stock AutoProcessor read it."""
    processor.save_pretrained(folder)
    path = folder / CONFIG
    config = json.loads(path.read_text()) if path.exists() else {}
    images = config.get("image_processor") or json.loads(processor.image_processor.to_json_string())
    images["image_processor_type"] = "Qwen2VLImageProcessor"
    config["image_processor"] = images
    config["video_processor"] = {**_shared(images), "video_processor_type": "Qwen2VLVideoProcessor"}
    config["processor_class"] = "Qwen2_5_VLProcessor"
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _shared(images: dict[str, Any]) -> dict[str, Any]:
    keys = ("patch_size", "merge_size", "temporal_patch_size", "size", "image_mean", "image_std")
    return {key: images[key] for key in keys if key in images}


def _template(folder: Path) -> str | None:
    for name in ("chat_template.jinja", "chat_template.json"):
        path = folder / name
        if path.exists():
            text = path.read_text()
            return json.loads(text)["chat_template"] if path.suffix == ".json" else text
    return None
