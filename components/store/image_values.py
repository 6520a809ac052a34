"""Pixel values of any kind as RGB of 8 bits: deep grey values by their range, transparent pixels on white."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GREY_BITS = (8, 10, 12, 14, 16, 24, 32)
"""How many bits the sensors and writers of grey pictures use; values in a wider container have one of these ranges."""
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 258, 262, 339
_UNSIGNED = 1
_DEEP = ("I", "F")
_MOST_SHARES = 0.99


def rgb_8_bit(image: Image.Image) -> Image.Image:
    """A loaded image in RGB."""
    if image.mode.startswith(_DEEP):
        return _deep_grey(image).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    seen = image.convert("RGBA")
    if seen.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")


def _deep_grey(image: Image.Image) -> Image.Image:
    """Modes I;16 (of any byte order), I and F as grey of 8 bits."""
    tags: Any = getattr(image, "tag_v2", {})
    values = np.asarray(image)
    grey = _scaled_float(values) if values.dtype.kind == "f" else _scaled_whole(values, tags)
    if tags.get(_TIFF_PHOTOMETRIC) == 0:  # white is zero; Pillow turns that for 8 bits only
        grey = 255 - grey
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey = np.where(values == transparent, 255, grey)
    return Image.fromarray(np.ascontiguousarray(grey, dtype=np.uint8))


def _scaled_whole(values: NDArray[Any], tags: Any) -> NDArray[np.int64]:
    """Whole numbers by the bits that they have: their highest 8 are kept. Below zero is black."""
    whole = values.astype(np.int64)
    if (
        whole.min(initial=0) < 0
        and values.dtype.itemsize == 4
        and tags.get(_TIFF_SAMPLE_FORMAT, (_UNSIGNED,))[0] == _UNSIGNED
    ):
        whole &= 0xFFFFFFFF  # Pillow has no unsigned mode of 32 bits
    whole = np.maximum(whole, 0)
    stated = tags.get(_TIFF_BITS, (0,))[0]
    bits = 12 if stated == 12 else _bits(int(whole.max(initial=0)))
    return whole >> (bits - 8)


def _bits(largest: int) -> int:
    return next(bits for bits in GREY_BITS if largest < 1 << bits)


def _scaled_float(values: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers up to 1 are shares of white, larger ones have the range of as many bits. What is no number is black.

    A few lights above 1 do not make the shares below them black: they are white.
    """
    known = np.nan_to_num(values.astype(np.float64), nan=0, posinf=np.inf, neginf=0).clip(min=0)
    largest = float(known[np.isfinite(known)].max(initial=0))
    known = known.clip(max=min(largest, 2.0 ** GREY_BITS[-1] - 1))
    shares = (known != np.floor(known)).any() and np.quantile(known, _MOST_SHARES) <= 1
    white = 1 if largest <= 1 or shares else (1 << _bits(int(known.max(initial=0)))) - 1
    return np.round(known.clip(max=white) / white * 255)
