"""The families' processors without their video part: that part alone needs torchvision.

Each class keeps its stock name, and a `video_processor` entry is saved with it, so that the stock
AutoProcessor loads the same folder where torchvision is installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.models.qwen2_5_vl import processing_qwen2_5_vl
from transformers.models.qwen2_vl import processing_qwen2_vl
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_vl import processing_qwen3_vl
from transformers.processing_utils import ProcessorMixin

from components.errors import ModelError
from components.policy.families import FAMILIES, family_of, patch_factor, read_config

CONFIG = "processor_config.json"


class Processor(ProcessorMixin):
    """Images and text in, tensors out; no video."""

    image_processor: Qwen2VLImageProcessorPil
    tokenizer: PreTrainedTokenizerBase

    def __init__(
        self,
        image_processor: Qwen2VLImageProcessorPil,
        tokenizer: PreTrainedTokenizerBase,
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template, **kwargs)  # pyright: ignore[reportArgumentType]


class Qwen2VLProcessor(Processor, processing_qwen2_vl.Qwen2VLProcessor):
    """Qwen2-VL's."""


class Qwen2_5_VLProcessor(Processor, processing_qwen2_5_vl.Qwen2_5_VLProcessor):  # noqa: N801  (the stock name)
    """Qwen2.5-VL's."""


class Qwen3VLProcessor(Processor, processing_qwen3_vl.Qwen3VLProcessor):
    """Qwen3-VL's."""


PROCESSORS: dict[str, type[Processor]] = {
    kind.__name__: kind for kind in (Qwen2VLProcessor, Qwen2_5_VLProcessor, Qwen3VLProcessor)
}


def load_processor(folder: Path, min_pixels: int | None = None, max_pixels: int | None = None) -> Processor:
    """The processor of a model folder, image bounds replaced where given.

    Raises ModelError where the folder has no tokenizer or no image processor, or is of no known family.
    """
    if not (folder / "tokenizer.json").exists() and not (folder / "vocab.json").exists():
        raise ModelError(f"{folder} has no tokenizer (tokenizer.json); is it a whole model folder?")
    if not (folder / CONFIG).exists() and not (folder / "preprocessor_config.json").exists():
        raise ModelError(f"{folder} has no image processor ({CONFIG}); is it a vision-language model?")
    kind = PROCESSORS[family_of(folder).processor]
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
    images = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True)
    if min_pixels is not None and max_pixels is not None:
        images.size = {"shortest_edge": min_pixels, "longest_edge": max_pixels}
    _check_patches(folder, images)
    return kind(images, tokenizer, chat_template=tokenizer.chat_template or _template(folder))


def save_processor(processor: Processor, folder: Path, model_type: str) -> None:
    """Saves it so that both this loader and the stock AutoProcessor read it."""
    family = FAMILIES[model_type]
    processor.save_pretrained(folder)
    path = folder / CONFIG
    config = json.loads(path.read_text()) if path.exists() else {}
    images = config.get("image_processor") or json.loads(processor.image_processor.to_json_string())
    images["image_processor_type"] = "Qwen2VLImageProcessor"
    config["image_processor"] = images
    config["video_processor"] = {**_shared(images), "video_processor_type": family.video_processor}
    config["processor_class"] = family.processor
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _check_patches(folder: Path, images: Qwen2VLImageProcessorPil) -> None:
    """Raises ModelError where the image processor cuts other patches than the model takes."""
    wanted = patch_factor(read_config(folder))
    found = images.patch_size * images.merge_size
    if wanted is not None and found != wanted:
        raise ModelError(
            f"{folder}: its image processor cuts images to multiples of {found} px, its model takes {wanted} px; "
            "are config.json and preprocessor_config.json of one checkpoint?"
        )


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
