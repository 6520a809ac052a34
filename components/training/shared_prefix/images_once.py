"""The image processor of a trainer whose rows repeat their images: each is resized and cut into patches once a call."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from transformers.image_processing_utils import BatchFeature
from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as stock


class Qwen2VLImageProcessorPil(stock.Qwen2VLImageProcessorPil):
    """The stock one, under its own name, since that stands in what is saved; equal pixels are one image."""

    def _preprocess(self, images: list[np.ndarray], *args: Any, return_tensors: Any = None, **kwargs: Any) -> Any:
        """images: (3, H, W) each. What stock gives: patches (all images' patches, width), grids (images, 3)."""
        first: dict[tuple[Any, ...], int] = {}
        distinct: list[np.ndarray] = []
        which: list[int] = []
        for image in images:
            pixels = hashlib.blake2b(np.ascontiguousarray(image).data).digest()
            place = first.setdefault((image.shape, image.dtype.str, pixels), len(distinct))
            if place == len(distinct):
                distinct.append(image)
            which.append(place)
        made = super()._preprocess(distinct, *args, return_tensors=None, **kwargs)
        grids = np.asarray(made["image_grid_thw"])
        parts = np.split(np.asarray(made["pixel_values"]), np.cumsum(grids.prod(axis=1))[:-1])
        data = {"pixel_values": np.concatenate([parts[place] for place in which]), "image_grid_thw": grids[which]}
        return BatchFeature(data=data, tensor_type=return_tensors)


def each_image_once(images: stock.Qwen2VLImageProcessorPil) -> Qwen2VLImageProcessorPil:
    """The same settings, in the one that knows a repeated image."""
    settings = images.to_dict()
    del settings["image_processor_type"]
    return Qwen2VLImageProcessorPil(**settings)
