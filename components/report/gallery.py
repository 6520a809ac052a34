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

from components.errors import DataError

Box = list[float]
THUMB_PX = 480
# an image this small is enlarged in the page and keeps its pixels sharp; a photograph is made smaller and smooth
SHARP_BELOW_PX = 200
SHORT_THINK_CHARS = 160
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
    # the answer comes last and is thinner: where it agrees with the truth, both are seen
    layers = "".join(
        _rectangles(boxes, kind)
        for kind, boxes in (
            ("ignore", picture.ignore),
            ("look", picture.look),
            ("truth", picture.truth),
            ("answer", picture.answer),
        )
    )
    people = _counted(len(picture.truth), "person", "people")
    said = f"{_counted(len(picture.answer), 'box', 'boxes')} for {people}, F1 {picture.f1:.2f}"
    if picture.failure:
        said = f"unreadable ({html.escape(picture.failure)}), {people}"
    spoken = html.escape(f"{picture.sample_id}: {people}; {len(picture.answer)} answer, {len(picture.look)} look boxes")
    sharp = " class='sharp'" if max(width, height) < SHARP_BELOW_PX else ""
    return (
        f"<article class='card'><svg viewBox='0 0 {width} {height}' role='img' aria-label='{spoken}'>"
        f"<image href='{image_uri}' width='{width}' height='{height}' preserveAspectRatio='none'{sharp}/>{layers}</svg>"
        f"<p><b>{said}</b></p>{_thought(picture.think)}<p class='note'>{html.escape(picture.sample_id)}</p></article>"
    )


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _thought(think: str | None) -> str:
    if not think:
        return ""
    if len(think) <= SHORT_THINK_CHARS:
        return f"<p><q>{html.escape(think)}</q></p>"
    first = html.escape(think[:SHORT_THINK_CHARS].rsplit(maxsplit=1)[0])
    return f"<details><summary><q>{first} …</q></summary><q>{html.escape(think)}</q></details>"


def _rectangles(boxes: Sequence[Box], kind: str) -> str:
    return "".join(
        f"<rect x='{x1:.2f}' y='{y1:.2f}' width='{x2 - x1:.2f}' height='{y2 - y1:.2f}' class='box {kind}'/>"
        for x1, y1, x2, y2 in boxes
    )


def data_uri(path: Path) -> str:
    """The image itself in the page; large ones as a thumbnail. Raises DataError where it cannot be read."""
    image = _upright(path)
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
    image = _upright(picture.path)
    scale = SHEET_TILE_PX / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
    draw: Any = ImageDraw.Draw(image)
    for boxes, colour, line in (
        (picture.look, "#4aa8ff", 1),
        (picture.truth, "#28c76f", 4),
        (picture.answer, "#ff7a1a", 2),
    ):
        for box in boxes:
            draw.rectangle([value * scale for value in box], outline=colour, width=line)
    return image


def _upright(path: Path) -> Image.Image:
    try:
        with Image.open(path) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except FileNotFoundError:
        raise DataError(f"{path} is not there, but a test sample names it; put the dataset's images back") from None
    except (OSError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image ({error}); it has changed since prompts read it") from error
