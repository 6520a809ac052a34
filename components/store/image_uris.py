"""An image as an address that needs no file beside the page."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image


def image_uri(image: Image.Image, kind: str, **options: Any) -> str:
    """The data URI of the image's file; `kind` and `options` as Pillow's `save` takes them."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return content_uri(buffer.getvalue(), kind)


def content_uri(content: bytes, kind: str) -> str:
    """The data URI of an image's file, by the bytes that it holds."""
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"
