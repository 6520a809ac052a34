"""What an image file is, before anybody trusts it: size, orientation, digests, and whether it decodes to its end."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from components.errors import ImageError
from components.store.image_files import FORMATS, check_shape, decode, read_image_bytes

HASH_SIDE = 16
"""The perceptual hash has HASH_SIDE x HASH_SIDE bits."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of a file; sizes are upright. `defect` is None for an image that can be used."""

    width_px: int | None = None
    height_px: int | None = None
    sha256: str | None = None
    file_bytes: int | None = None
    exif_orientation: int | None = None
    perceptual_hash: bytes | None = None  # 32 bytes; few bits differ between pictures that look the same
    defect: str | None = None  # missing, empty, truncated, unreadable, wrong_type, or another of ImageError's


def inspect_image(path: Path) -> ImageFacts:
    """Reads the whole file once. It is decoded to its end: truncation shows in no other way."""
    content = b""
    try:
        content = read_image_bytes(path)
        opened = decode(content, str(path), shrink=8)  # JPEG: an eighth of the size still reads every byte
    except ImageError as error:
        digest = hashlib.sha256(content).hexdigest() if content else None
        size = 0 if error.defect == "empty" else len(content) or None
        return ImageFacts(sha256=digest, file_bytes=size, defect=error.defect)
    return ImageFacts(
        *opened.size_px,
        hashlib.sha256(content).hexdigest(),
        len(content),
        opened.orientation,
        perceptual_hash(opened.image),
        _wrong_shape(opened.size_px) or (None if path.suffix.lower() in FORMATS[opened.kind] else "wrong_type"),
    )


def _wrong_shape(size_px: tuple[int, int]) -> str | None:
    try:
        check_shape(size_px, "")
    except ImageError as error:
        return error.defect
    return None


def perceptual_hash(image: Image.Image) -> bytes:
    """A bit for each pair of neighbours in a row of a small grey copy: is the right one brighter? (A difference hash.)

    A resized, recompressed or slightly brightened copy keeps nearly all bits; another picture differs in half of them.
    """
    small = image.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.int16)
    return np.packbits(pixels[:, 1:] > pixels[:, :-1]).tobytes()
