"""An answer drawn on its image: boxes and points in one colour. It travels with the registered model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw

COLOUR = "#ff7a1a"


def draw_answer(image: Image.Image, answer: dict[str, Any], scores: Sequence[float | None] = ()) -> None:
    """Draws on `image` itself; a box that has a score shows it in its corner."""
    draw = ImageDraw.Draw(image)
    width = max(1, round(max(image.size) / 300))
    for place, box in enumerate(answer["boxes"]):
        draw.rectangle(box, outline=COLOUR, width=width)
        if place < len(scores) and (score := scores[place]) is not None:
            draw.text((box[0] + width + 1, box[1] + width), f"{score:.2f}", fill=COLOUR)
    for x, y in answer.get("points", []):  # a version of before there were tasks has none
        draw.ellipse((x - 2 * width, y - 2 * width, x + 2 * width, y + 2 * width), fill=COLOUR)
