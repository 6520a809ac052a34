"""The one way an image file is opened: upright, RGB, 8 bits; or an ImageError that says in a word why not.

What is looked at in ingest, trained on, answered and shown is the same picture, whatever the file's kind: grey values
of more bits are scaled by their range, what is transparent is seen on white, of several pictures the first is taken.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from components.errors import ImageError
from components.store.image_values import rgb_8_bit

FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".mpo"),  # a JPEG with a second picture behind, as phones write it
    "PNG": (".png",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "AVIF": (".avif",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
}
"""What is decoded, by Pillow's names, and the suffixes that say so (the first is what a file of ours gets)."""
_OPENED_AS = tuple(kind for kind in FORMATS if kind != "MPO")  # it is found by opening a JPEG
IMAGE_SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
MOST_PIXELS = 178_956_970
"""Pillow's own limit, twice its MAX_IMAGE_PIXELS: half a gigabyte in RGB."""
MOST_BYTES = 1 << 29
MOST_ASPECT = 200
"""The processor of Qwen's models takes no image whose longer side is more than so many times the shorter one."""
LINKS_OUT = "links out of the dataset"
EXIF_ORIENTATION = 274
ODD_ORIENTATION = 0
"""What stands for an orientation that is no whole number of 16 bits: text, infinity, or EXIF that cannot be read."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTERS = (5, 6, 7, 8)
_DVC_OBJECT = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}\Z")
_PNG = b"\x89PNG\r\n\x1a\n"
_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt", b"iCCP"}


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """The picture, and what its file says of it."""

    image: Image.Image
    """Upright, RGB."""
    kind: str
    """A key of FORMATS."""
    size_px: tuple[int, int]
    """Width and height upright, of the whole picture: `image` may be a smaller copy."""
    orientation: int
    """EXIF's, 1 where the file has none, ODD_ORIENTATION where it is none of EXIF's."""


def open_image(path: Path, root: Path | None = None, most_pixels: int = MOST_PIXELS) -> Image.Image:
    """The image of a file, upright, RGB, 8 bits, of a shape that a model takes. Raises ImageError."""
    return decode_image(read_image_bytes(path, root), str(path), most_pixels)


def decode_image(content: bytes, name: str, most_pixels: int = MOST_PIXELS) -> Image.Image:
    """As `open_image`, from a file's bytes; `name` is what the sentence calls them."""
    image = decode(content, name, most_pixels).image
    check_shape(image.size, name)
    return image


def check_shape(size_px: tuple[int, int], name: str) -> None:
    """Raises ImageError for what is too thin for the models' processor."""
    short, long = sorted(size_px)
    if long > MOST_ASPECT * short:
        raise ImageError(
            f"one side is over {MOST_ASPECT} times the other",
            f"{name} is {size_px[0]} x {size_px[1]} px: one side is over {MOST_ASPECT} times the other, and no model "
            "here takes that; cut a part out of it",
        )


def read_image_bytes(path: Path, root: Path | None = None) -> bytes:
    """The bytes of a regular file. Raises ImageError; a pipe, a device or a way out of `root` is not even opened."""
    try:
        if root is not None and leaves_root(path, root):
            raise ImageError(LINKS_OUT, f"{path} links out of {root}; copy the file into it")
        if not stat.S_ISREG(path.stat().st_mode):
            raise _not_a_file(path)
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):  # it was exchanged since
                raise _not_a_file(path)
            if status.st_size > MOST_BYTES:
                raise ImageError("too large", f"{path} has {status.st_size} bytes; an image has at most {MOST_BYTES}")
            return file.read(MOST_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise ImageError(
            "missing" if gone else "unreadable", f"{path} cannot be read ({reason}); put the image back"
        ) from error


def _not_a_file(path: Path) -> ImageError:
    defect = "missing" if path.is_dir() else "not a regular file"
    return ImageError(defect, f"{path} is no regular file (a folder, a pipe or a device?); want an image file")


def leaves_root(path: Path, root: Path) -> bool:
    """Whether links lead out of `root` to something that is no object of a DVC cache, named by its content."""
    real, inside = os.path.realpath(path), os.path.realpath(root)
    return not Path(real).is_relative_to(inside) and not _DVC_OBJECT.search(real)


def decode(content: bytes, name: str, most_pixels: int = MOST_PIXELS, shrink: int = 1) -> OpenedImage:
    """The picture in a file's bytes, of any shape. Raises ImageError.

    `shrink` lets a JPEG be decoded to about a part of its size, which still reads every byte.
    """
    if not content:
        raise ImageError("empty", f"{name} is empty; download it again")
    if content.startswith(_PNG):
        return _decode_png(content, name, most_pixels)
    return _decode(content, name, most_pixels, shrink)


def _decode_png(content: bytes, name: str, most_pixels: int) -> OpenedImage:
    try:
        return _decode(content, name, most_pixels)
    except ImageError as error:
        if not isinstance(error.__cause__, ValueError):
            raise
    # Pillow gives up at a text or a colour profile of over 1 MiB; neither changes a pixel here
    return _decode(_without_texts(content), name, most_pixels)


def _without_texts(content: bytes) -> bytes:
    """A PNG without its chunks of text and its colour profile."""
    kept, start = [content[: len(_PNG)]], len(_PNG)
    while start + 8 <= len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        if content[start + 4 : start + 8] not in _TEXT_CHUNKS:
            kept.append(content[start:end])
        start = end
    return b"".join(kept)


def _decode(content: bytes, name: str, most_pixels: int, shrink: int = 1) -> OpenedImage:
    try:
        with Image.open(io.BytesIO(content), formats=_OPENED_AS) as opened:
            width, height = opened.size
            if width * height > most_pixels:
                raise _too_many_pixels(name, most_pixels, f"{width} x {height} px")
            stated = _orientation(opened)
            if shrink > 1:
                opened.draft("RGB", (width // shrink, height // shrink))
            opened.load()
            kind = str(opened.format)
            turn = 1 if kind == "TIFF" else stated  # Pillow turns a TIFF itself, and states its upright size
            image = rgb_8_bit(opened)
    except UnidentifiedImageError as error:
        raise ImageError(
            "unreadable", f"{name} is no image of the kinds {', '.join(FORMATS)}, or its head is damaged"
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(name, most_pixels, "many more") from error
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error) as error:
        reason = " ".join(str(error).split())[:100]
        raise ImageError(
            "truncated", f"{name} cannot be decoded to its end ({reason}); is it cut or damaged?"
        ) from error
    size = (height, width) if turn in _QUARTERS else (width, height)
    return OpenedImage(image.transpose(_TURNS[turn]) if turn in _TURNS else image, kind, size, stated)


def _too_many_pixels(name: str, most_pixels: int, found: str) -> ImageError:
    return ImageError("too many pixels", f"{name} has {found}; at most {most_pixels} pixels are decoded")


def _orientation(image: Image.Image) -> int:
    """EXIF's number for how to turn the image; a damaged EXIF condemns no picture."""
    try:
        value: Any = image.getexif().get(EXIF_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error, AssertionError):
        return ODD_ORIENTATION
    for number in range(1, 9):
        if value == number:  # 6/1 as well
            return number
    return value if type(value) is int and 0 <= value < 1 << 16 else ODD_ORIENTATION
