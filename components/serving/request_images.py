"""The file of a request's picture: bytes, base64 or a data URI. A path only under the folder that the server names.

It travels with each registered model: little is imported.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Any

from components.errors import DataError, ImageError
from components.store.image_files import read_image_bytes

ROOT_VARIABLE = "LOOKOUT_SERVE_ROOT"
"""Environment variable: paths are read under this folder only, and none are where it is not set."""
LACKING = "has no image: want image (base64 or a data URI) or image_bytes, its other keys are not looked at"
_DATA_URI = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_LONGEST_PATH = 4096


def content_of(row: dict[str, Any], most_bytes: int) -> bytes:
    """The bytes of the row's picture. Raises DataError that begins with `has`."""
    content, given = row.get("image_bytes"), row.get("image")
    if isinstance(content, bytes):
        found = _from_base64(content, most_bytes) or bytes(content)  # in JSON MLflow leaves a binary column as base64
    elif isinstance(given, str) and given:
        found = _of_text(given, most_bytes)
    else:
        raise DataError(LACKING)
    if len(found) > most_bytes:
        raise _too_large(most_bytes)
    return found


def _of_text(given: str, most_bytes: int) -> bytes:
    uri = _DATA_URI.match(given)
    found = None if uri else _under_root(given)
    if found is None:
        found = _from_base64(given[uri.end() if uri else 0 :].encode("ascii", "replace"), most_bytes)
    if found is None:
        # the same sentence whether a file is there or not: nobody learns of the disk by it
        raise DataError(
            f"has an image {given[:40]!r} that is neither base64 nor a data URI; paths are read under "
            f"{ROOT_VARIABLE} only, regular files and no links out of it"
        )
    return found


def _from_base64(text: bytes, most_bytes: int) -> bytes | None:
    """What base64 stands for, white space in it let through; None where it is something else."""
    if len(text) > 2 * most_bytes:
        raise _too_large(most_bytes)
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _under_root(given: str) -> bytes | None:
    """Bytes of a regular file under the root, where links lead no further than that; None for anything else."""
    root = os.environ.get(ROOT_VARIABLE)
    if not root or len(given) > _LONGEST_PATH:
        return None
    try:
        folder = Path(root).resolve(strict=True)
        path = (folder / given).resolve(strict=True)
        return read_image_bytes(path) if path.is_relative_to(folder) else None
    except (ImageError, OSError, ValueError, RuntimeError):  # a zero byte in it, links that turn in a circle
        return None


def _too_large(most_bytes: int) -> DataError:
    return DataError(f"has an image of more than {most_bytes} bytes, which is the most that is taken")
