"""Coordinate frames: what a model's numbers mean in pixels of the original image.

Qwen2.5-VL speaks pixels of the image as its processor resized it; Qwen2-VL and
Qwen3-VL speak thousandths of each side. Boxes change frame here and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from components.core.boxes import Boxes, as_boxes
from components.core.words import Frame


@dataclass(frozen=True, slots=True)
class ImageView:
    """How one image looks to a model: its own size, the model's size, the frame of the model's numbers.

    `model_size_px` is (width, height) after the processor's resizing; it is read in the frame "resized" only.
    """

    width_px: int
    height_px: int
    frame: Frame = "original"
    model_size_px: tuple[int, int] | None = None

    @property
    def model_units(self) -> tuple[float, float]:
        if self.frame == "original":
            return float(self.width_px), float(self.height_px)
        if self.frame == "relative_1000":
            return 1000.0, 1000.0
        if self.model_size_px is None:
            raise ValueError("the frame 'resized' needs model_size_px (width, height after resizing)")
        return float(self.model_size_px[0]), float(self.model_size_px[1])

    def to_original(self, boxes: Boxes) -> Boxes:
        """Boxes (N, 4) in the model's frame -> original pixels, not clipped."""
        width, height = self.model_units
        scale = np.array([self.width_px / width, self.height_px / height] * 2)
        return as_boxes(boxes * scale)

    def from_original(self, boxes: Boxes) -> Boxes:
        """Boxes (N, 4) in original pixels -> the model's frame, not rounded."""
        width, height = self.model_units
        scale = np.array([width / self.width_px, height / self.height_px] * 2)
        return as_boxes(boxes * scale)


def smart_resize(width_px: int, height_px: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """(width, height) that Qwen's image processor resizes to: multiples of `factor`, area within the bounds.

    Rounds half to even, as the processor does: at factor 28, 70 px become 56, and 14 become 0, which the lower
    bound then mends. Raises ValueError, as the processor does, where a side is over 200 times the other.
    Source: Qwen2-VL's image processor in transformers, whose result the tests compare.
    """
    if max(width_px, height_px) / min(width_px, height_px) > 200:
        raise ValueError(f"{width_px} x {height_px} px: one side is over 200 times the other")
    width = round(width_px / factor) * factor
    height = round(height_px / factor) * factor
    if width * height > max_pixels:
        shrink = math.sqrt(width_px * height_px / max_pixels)
        width = max(factor, math.floor(width_px / shrink / factor) * factor)
        height = max(factor, math.floor(height_px / shrink / factor) * factor)
    elif width * height < min_pixels:
        grow = math.sqrt(min_pixels / (width_px * height_px))
        width = math.ceil(width_px * grow / factor) * factor
        height = math.ceil(height_px * grow / factor) * factor
    return width, height
