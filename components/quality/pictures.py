"""Pictures of a validation: histograms as bars, refused images as thumbnails with the box that was at fault."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import ImageDraw

from components.errors import ImageError
from components.store.image_files import decode, read_image_bytes
from components.store.image_uris import image_uri
from components.store.schemas.validated import Histogram

THUMBNAIL_PX = 160
MOST_THUMBNAILS = 24
WIDTH, HEIGHT, BASE = 300, 120, 96


def histogram(title: str, data: Histogram) -> str:
    """A figure: a bar a bin, the lower edge under it, the count on hovering."""
    edges, counts = data["edges"], data["counts"]
    tallest, step = max([*counts, 1]), WIDTH / len(counts)
    bars = ""
    for i, count in enumerate(counts):
        upper = f"to {edges[i + 1]:g}" if i + 1 < len(edges) else "and more"
        tall = count / tallest * (BASE - 8)
        bars += (
            f"<rect x='{i * step + 1:.1f}' y='{BASE - tall:.1f}' width='{step - 2:.1f}' height='{tall:.1f}'>"
            f"<title>{edges[i]:g} {upper}: {count}</title></rect>"
            f"<text x='{(i + 0.5) * step:.1f}' y='{BASE + 12}'>{edges[i]:g}</text>"
        )
    name = html.escape(title.replace("_", " "))
    return (
        f"<figure><figcaption>{name}</figcaption><svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' "
        f"aria-label='{name}'>{bars}</svg></figure>"
    )


Box = tuple[float, float, float, float]
AT_FAULT, AS_READ, IGNORED = "#e62828", "#28c76f", "#4aa8ff"


def thumbnail(path: Path, root: Path, boxes: Sequence[tuple[Box, str]], side_px: int = THUMBNAIL_PX) -> str | None:
    """The image small, as a data URI, with boxes drawn in their colours; None where it cannot be shown."""
    try:
        image = decode(read_image_bytes(path, root), str(path)).image
    except ImageError:
        return None
    scale = side_px / max(image.size)
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    draw = ImageDraw.Draw(small)
    for box, colour in boxes:
        if all(map(math.isfinite, box)):
            draw.rectangle(_inside(box, scale, small.size), outline=colour, width=2 if colour == AT_FAULT else 1)
    return image_uri(small, "JPEG", quality=80)


def _inside(box: Box, scale: float, size: tuple[int, int]) -> list[float]:
    low_x, high_x = sorted((box[0] * scale, box[2] * scale))
    low_y, high_y = sorted((box[1] * scale, box[3] * scale))
    limits = (size[0] - 1, size[1] - 1)
    shown = [min(max(low_x, 0), limits[0]), min(max(low_y, 0), limits[1])]
    return [*shown, min(max(high_x, shown[0]), limits[0]), min(max(high_y, shown[1]), limits[1])]
