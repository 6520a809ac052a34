"""Test images with truth, answer and look boxes: for the page, and as one contact sheet."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from components.core.boxes import as_boxes
from components.core.coverage import coverages, soft_dice
from components.report.captions import counted
from components.store.image_files import open_image
from components.store.image_uris import image_uri

Box = Point = Sequence[float]
POINT_FRAC = 0.022
"""Radius of a drawn point, as a share of the image's longer side."""
THUMB_PX = 480
# an image this small is enlarged in the page and keeps its pixels sharp; a photograph is made smaller and smooth
SHARP_BELOW_PX = 200
SHORT_THINK_CHARS = 160
SHEET_TILE_PX = 192
SHEET_COLUMNS = 6
HEAT_COLOUR = (224, 44, 92)
LABEL_FRAC = 0.07
"""Height of a box's label, as a share of the image's longer side."""
LOOKED_WELL = 0.5
"""Dice of look boxes and disagreement, as the looking reward has it: looking everywhere does not do."""
KINDS = {
    "missed": "somebody was not found",
    "false": "a box shows nobody",
    "unreadable": "the answer could not be read",
    "looked-well": "the look boxes fit where the sampled answers disagree",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One test image and what one model said of it."""

    sample_id: str
    path: Path
    width_px: int
    height_px: int
    truth: Sequence[Box]
    ignore: Sequence[Box]
    answer: Sequence[Box]
    look: Sequence[Box]
    think: str | None
    f1: float
    kinds: tuple[str, ...] = ()
    disagreement: bytes | None = None
    """float16 (grid, grid) in [0, 1], by rows from the top."""
    caption: str = ""
    """HTML: what was said beside what is true."""
    truth_points: Sequence[Point] = ()
    answer_points: Sequence[Point] = ()
    truth_labels: Sequence[str] = ()
    answer_labels: Sequence[str] = ()
    """A word a box, where boxes are of several kinds; else none."""


class Images:
    """The page's images, each once however many cards show it, and the cards, within a budget of bytes."""

    def __init__(self, budget_bytes: int) -> None:
        self.left = budget_bytes
        self.uris: dict[str, str] = {}
        self._keys: dict[Path, str] = {}

    def key(self, path: Path) -> str | None:
        """The image's key in the page; None where it does not fit any more."""
        if path not in self._keys:
            uri = photo_uri(path)
            if len(uri) > self.left:
                return None
            self.left -= len(uri)
            self._keys[path] = f"i{len(self._keys)}"
            self.uris[self._keys[path]] = uri
        return self._keys[path]

    def fits(self, card: str) -> bool:
        """Takes the card's bytes from the budget; False where they are not left."""
        if len(card) > self.left:
            return False
        self.left -= len(card)
        return True


def chosen(pictures: Sequence[Picture], count: int) -> list[Picture]:
    """At most `count`, worst first: three quarters the worst of all, the rest of those that looked well."""
    ordered = sorted(pictures, key=lambda picture: (picture.f1, picture.sample_id))
    if len(ordered) <= count:
        return ordered
    worst = ordered[: count - count // 4]
    well = [picture for picture in ordered[len(worst) :] if "looked-well" in picture.kinds][: count // 4]
    fill = [picture for picture in ordered[len(worst) :] if picture not in well][: count // 4 - len(well)]
    return sorted([*worst, *well, *fill], key=lambda picture: (picture.f1, picture.sample_id))


def card(picture: Picture, image_key: str) -> str:
    """An image with its boxes on top, the numbers, and the model's own words."""
    things = counted(len(picture.truth) + len(picture.truth_points), "thing", "things")
    spoken = f"{picture.sample_id}: {things}; {len(picture.answer) + len(picture.answer_points)} in the answer, "
    spoken += f"{len(picture.look)} look boxes"
    # the answer comes last and is thinner: where it agrees with the truth, both are seen
    layers = (("ignore", picture.ignore), ("look", picture.look), ("truth", picture.truth), ("answer", picture.answer))
    return (
        f"<article class='card' data-kinds='{' '.join(picture.kinds)}'>{drawing(picture, image_key, spoken, layers)}"
        f"<p><b>{picture.caption}</b></p>{_thought(picture.think)}"
        f"<p class='note'>{html.escape(picture.sample_id)}</p></article>"
    )


def drawing(picture: Picture, image_key: str, spoken: str, layers: Sequence[tuple[str, Sequence[Box]]]) -> str:
    """The image as SVG with boxes, and the disagreement as a layer that a button shows."""
    width, height = picture.width_px, picture.height_px
    size = f"width='{width}' height='{height}' preserveAspectRatio='none'"
    sharp = " class='sharp'" if max(width, height) < SHARP_BELOW_PX else ""
    heat = (
        "" if picture.disagreement is None else f"<image href='{heat_uri(picture.disagreement)}' {size} class='heat'/>"
    )
    boxes = "".join(_rectangles(rows, kind) for kind, rows in layers)
    radius = POINT_FRAC * max(width, height)
    boxes += _circles(picture.truth_points, "truth", 1.6 * radius) + _circles(picture.answer_points, "answer", radius)
    high = LABEL_FRAC * max(width, height)
    boxes += _words(picture.truth, picture.truth_labels, "truth", (width, high), -0.2 * high)
    boxes += _words(picture.answer, picture.answer_labels, "answer", (width, high), -1.2 * high)
    return (
        f"<svg viewBox='0 0 {width} {height}' role='img' aria-label='{html.escape(spoken)}'>"
        f"<image data-key='{image_key}' {size}{sharp}/>{heat}{boxes}</svg>"
    )


def heat_uri(disagreement: bytes) -> str:
    """The map as a transparent PNG: the more the answers disagree, the stronger the colour."""
    values = np.frombuffer(disagreement, dtype=np.float16).astype(np.float32)
    side = round(len(values) ** 0.5)
    alpha = (values.reshape(side, side) * 190).astype(np.uint8)
    pixels = np.concatenate(
        [np.broadcast_to(np.array(HEAT_COLOUR, np.uint8), (side, side, 3)), alpha[..., None]], axis=2
    )
    return image_uri(Image.fromarray(pixels, "RGBA"), "PNG", optimize=True)


def looked_well(look: Sequence[Box], disagreement: bytes | None, width_px: int, height_px: int) -> bool:
    """Whether the look boxes fit the disagreement, by their Dice; False where nobody disagrees."""
    if disagreement is None or not look:
        return False
    values = np.frombuffer(disagreement, dtype=np.float16).astype(float)
    side = round(len(values) ** 0.5)
    covered = np.minimum(1.0, coverages([as_boxes(look)], width_px, height_px, side))
    return bool(values.any() and soft_dice(covered, values.reshape(1, side, side))[0] >= LOOKED_WELL)


def _thought(think: str | None) -> str:
    if not think:
        return ""
    if len(think) <= SHORT_THINK_CHARS:
        return f"<p><q>{html.escape(think)}</q></p>"
    first = html.escape(think[:SHORT_THINK_CHARS].rsplit(maxsplit=1)[0])
    return f"<details><summary><q>{first} …</q></summary><q>{html.escape(think)}</q></details>"


def _circles(points: Sequence[Point], kind: str, radius: float) -> str:
    return "".join(f"<circle cx='{x:.2f}' cy='{y:.2f}' r='{radius:.2f}' class='box {kind}'/>" for x, y in points)


def _words(boxes: Sequence[Box], labels: Sequence[str], kind: str, size: tuple[float, float], inside: float) -> str:
    """Each box's label at its lower left, `inside` its lower edge; at the lower right where it would leave the image.

    size: the image's width, the letters' height.
    """
    width, high = size
    words: list[str] = []
    for (x1, _, x2, y2), label in zip(boxes, labels, strict=False):
        ends = x1 + len(label) * 0.7 * high > width
        x = min(x2, width) - 0.2 * high if ends else max(x1, 0) + 0.2 * high
        words.append(
            f"<text x='{x:.2f}' y='{y2 + inside:.2f}' font-size='{high:.2f}' "
            f"text-anchor='{'end' if ends else 'start'}' class='word {kind}'>{html.escape(label)}</text>"
        )
    return "".join(words)


def _rectangles(boxes: Sequence[Box], kind: str) -> str:
    return "".join(
        f"<rect x='{x1:.2f}' y='{y1:.2f}' width='{x2 - x1:.2f}' height='{y2 - y1:.2f}' class='box {kind}'/>"
        for x1, y1, x2, y2 in boxes
    )


def photo_uri(path: Path) -> str:
    """The image itself in the page; large ones as a thumbnail. Raises DataError where it cannot be read."""
    image = open_image(path)
    if max(image.size) > THUMB_PX:
        image.thumbnail((THUMB_PX, THUMB_PX))
    return image_uri(image, "JPEG", quality=88)


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
    image = open_image(picture.path)
    scale = SHEET_TILE_PX / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    for boxes, colour, line in (
        (picture.look, "#4aa8ff", 1),
        (picture.truth, "#28c76f", 4),
        (picture.answer, "#ff7a1a", 2),
    ):
        for box in boxes:
            draw.rectangle([value * scale for value in box], outline=colour, width=line)
    for points, colour, radius in ((picture.truth_points, "#28c76f", 7), (picture.answer_points, "#ff7a1a", 4)):
        for x, y in points:
            ends = (x * scale - radius, y * scale - radius, x * scale + radius, y * scale + radius)
            draw.ellipse(ends, outline=colour, width=2)
    return image
