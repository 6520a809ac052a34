"""Test images with truth, answer and look boxes: for the page, and as one contact sheet."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageOps

Box = list[float]
THUMB_PX = 480
SHEET_TILE_PX = 192
SHEET_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Picture:
    """One test image and what one model said of it."""

    sample_id: str
    path: Path
    width_px: int
    height_px: int
    truth: list[Box]
    ignore: list[Box]
    answer: list[Box]
    look: list[Box]
    think: str | None
    failure: str | None
    f1: float


def card(picture: Picture, image_uri: str) -> str:
    """An image with its boxes on top, the numbers, and the model's own words."""
    width, height = picture.width_px, picture.height_px
    stroke = max(width, height) / 80
    layers = "".join(
        _rectangles(boxes, kind, stroke)
        for kind, boxes in (
            ("ignore", picture.ignore),
            ("look", picture.look),
            ("truth", picture.truth),
            ("answer", picture.answer),
        )
    )
    said = f"{len(picture.answer)} boxes for {len(picture.truth)} people, F1 {picture.f1:.2f}"
    if picture.failure:
        said = f"unreadable ({html.escape(picture.failure)}), {len(picture.truth)} people"
    think = f"<q>{html.escape(picture.think)}</q>" if picture.think else ""
    alt = f"{len(picture.truth)} people, {len(picture.answer)} answer boxes, {len(picture.look)} look boxes"
    return (
        f"<article class='card'><svg viewBox='0 0 {width} {height}' role='img' aria-label='{alt}'>"
        f"<image href='{image_uri}' width='{width}' height='{height}' preserveAspectRatio='none'/>{layers}</svg>"
        f"<p><b>{said}</b> {think}</p><p class='note'>{html.escape(picture.sample_id)}</p></article>"
    )


def _rectangles(boxes: Sequence[Box], kind: str, stroke: float) -> str:
    return "".join(
        f"<rect x='{x1:.2f}' y='{y1:.2f}' width='{x2 - x1:.2f}' height='{y2 - y1:.2f}' class='box {kind}' "
        f"stroke-width='{stroke:.2f}'/>"
        for x1, y1, x2, y2 in boxes
    )


def data_uri(path: Path) -> str:
    """The image itself in the page; large ones as a thumbnail."""
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    if max(image.size) > THUMB_PX:
        image.thumbnail((THUMB_PX, THUMB_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def png_uri(content: bytes) -> str:
    """PNG bytes as an address that needs no server."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def contact_sheet(pictures: Sequence[Picture]) -> bytes:
    """PNG bytes: a grid of images with truth (green), answer (orange) and look (blue, thin) boxes."""
    rows = -(-len(pictures) // SHEET_COLUMNS)
    tile = SHEET_TILE_PX + 8
    sheet = Image.new("RGB", (tile * SHEET_COLUMNS + 8, tile * max(1, rows) + 8), "white")
    for number, picture in enumerate(pictures):
        place = (8 + number % SHEET_COLUMNS * tile, 8 + number // SHEET_COLUMNS * tile)
        sheet.paste(_drawn(picture), place)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _drawn(picture: Picture) -> Image.Image:
    with Image.open(picture.path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    scale = SHEET_TILE_PX / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.NEAREST)
    draw: Any = ImageDraw.Draw(image)
    for boxes, colour, line in (
        (picture.look, "#4aa8ff", 1),
        (picture.truth, "#28c76f", 3),
        (picture.answer, "#ff7a1a", 2),
    ):
        for box in boxes:
            draw.rectangle([value * scale for value in box], outline=colour, width=line)
    return image
