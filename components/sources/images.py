"""What an image file is, before anybody trusts it: size, orientation, digests, and whether it decodes to its end."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

EXIF_ORIENTATION = 274
HASH_SIDE = 16
"""The perceptual hash has HASH_SIDE x HASH_SIDE bits."""
SUFFIX_OF_TYPE = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp"}
_SUFFIXES = {"JPEG": {".jpg", ".jpeg"}, "PNG": {".png"}, "WEBP": {".webp"}, "BMP": {".bmp"}}
IMAGE_SUFFIXES = frozenset().union(*_SUFFIXES.values())


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of a file; sizes are upright. `defect` is None for an image that can be used."""

    width_px: int | None = None
    height_px: int | None = None
    sha256: str | None = None
    file_bytes: int | None = None
    exif_orientation: int | None = None
    perceptual_hash: bytes | None = None  # 32 bytes; few bits differ between pictures that look the same
    defect: str | None = None  # missing | empty | truncated | unreadable | wrong_type


def inspect_image(path: Path) -> ImageFacts:
    """Reads the whole file once. It is decoded to its end: truncation shows in no other way."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ImageFacts(defect="missing")
    if not content:
        return ImageFacts(file_bytes=0, defect="empty")
    digest = hashlib.sha256(content).hexdigest()
    try:
        with Image.open(io.BytesIO(content)) as image:
            kind, (width, height) = image.format, image.size
            orientation = int(image.getexif().get(EXIF_ORIENTATION, 1))
            image.draft("RGB", (width // 8, height // 8))  # JPEG: an eighth of the size still reads every byte
            image.load()
            look = perceptual_hash(image)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        return ImageFacts(sha256=digest, file_bytes=len(content), defect="unreadable")
    except (OSError, SyntaxError, ValueError):
        return ImageFacts(sha256=digest, file_bytes=len(content), defect="truncated")
    if orientation in (5, 6, 7, 8):  # turned by a quarter
        width, height = height, width
    wrong = kind not in _SUFFIXES or path.suffix.lower() not in _SUFFIXES[kind]
    return ImageFacts(width, height, digest, len(content), orientation, look, "wrong_type" if wrong else None)


def perceptual_hash(image: Image.Image) -> bytes:
    """A bit for each pair of neighbours in a row of a small grey copy: is the right one brighter? (A difference hash.)

    A resized, recompressed or slightly brightened copy keeps nearly all bits; another picture differs in half of them.
    """
    small = image.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.int16)
    return np.packbits(pixels[:, 1:] > pixels[:, :-1]).tobytes()
