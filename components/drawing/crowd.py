"""A drawn crowd in CrowdHuman's own layout: annotation_<split>.odgt and Images/<ID>.jpg.

People are coloured figures in clusters; who stands lower in the image stands in front. The full box is the
drawn figure whole, the visible box what the others left of it. Every image has its own random stream,
so the same seed gives the same files, whatever the number of processes.
"""

from __future__ import annotations

import colorsys
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from components.core.boxes import as_boxes, iou
from components.machine.children import process_pool
from components.params.drawing import DrawingParams, DrawnPeopleParams, Kind

SPLITS = ("train", "val", "test")
Row = TypeVar("Row")
TRIES_PER_PERSON = 20
PROPORTIONS: dict[Kind, tuple[float, float]] = {"person": (1.0, 0.40), "ball": (0.55, 1.0), "car": (0.5, 1.8)}
"""Height as a share of a person's, and width over height."""
SHAPE_SCALE = 4  # figures are drawn this much larger and shrunk: smooth edges at 64 pixels


@dataclass(frozen=True, slots=True)
class Person:
    """Where a figure stands: full box in whole pixels, x1 y1 x2 y2. A ball and a car are figures too."""

    box: tuple[int, int, int, int]
    hue: float
    kind: Kind = "person"


def write_crowd(folder: Path, params: DrawnPeopleParams, workers: int) -> dict[str, int]:
    """Fills `folder` with images and annotations; number of people drawn in each split."""
    (folder / "Images").mkdir(parents=True)
    people: dict[str, int] = {}
    with process_pool(workers) as pool:
        for index, split in enumerate(SPLITS):
            draw = partial(_write_image, folder, params, index)
            rows = drawn_rows(pool, draw, params, split)
            text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
            (folder / f"annotation_{split}.odgt").write_text(text)
            people[split] = sum(len(row["gtboxes"]) for row in rows)
    return people


def drawn_rows(pool: ProcessPoolExecutor, draw: Callable[[int], Row], params: DrawingParams, split: str) -> list[Row]:
    """What `draw` gives of each of a split's images by its number, in their order, whatever the processes."""
    return list(pool.map(draw, range(getattr(params.images, split)), chunksize=64))


def _write_image(folder: Path, params: DrawnPeopleParams, split: int, index: int) -> dict[str, Any]:
    random = np.random.default_rng([params.seed, split, index])
    # CrowdHuman's IDs hold a comma; so do these, so that the reader meets one
    identity = f"{split}{index:06d},{random.integers(1 << 32):08x}"
    people = place_people(random, params)
    picture, owners = draw_people(random, people, params)
    Image.fromarray(picture).save(folder / "Images" / f"{identity}.jpg", quality=92)
    rows = [_annotation(random, owners, number, person, params) for number, person in enumerate(people)]
    return {"ID": identity, "gtboxes": rows}


def place_people(random: np.random.Generator, params: DrawnPeopleParams) -> list[Person]:
    """People in clusters, back to front. One who would hide another too much is moved, or left out at last."""
    count = round(float(random.lognormal(np.log(params.people_median), params.people_sigma)))
    count = int(np.clip(count, params.people_min, params.people_max))
    centres = [_cluster(random, params) for _ in range(1 + int(random.poisson(count / params.cluster_people)))]
    placed: list[Person] = []
    for _ in range(count):
        for _ in range(TRIES_PER_PERSON):
            person = _person(random, centres[random.integers(len(centres))], params)
            if _fits(person, placed, params.max_pair_iou):
                placed.append(person)
                break
    return sorted(placed, key=lambda person: person.box[3])


def _cluster(random: np.random.Generator, params: DrawnPeopleParams) -> tuple[float, float, float]:
    """Centre x, centre y, typical height of a cluster, in pixels."""
    height = params.person_height_frac * params.height_px * random.lognormal(0, params.person_height_sigma)
    return random.uniform(0.15, 0.85) * params.width_px, random.uniform(0.35, 0.75) * params.height_px, height


def _person(random: np.random.Generator, cluster: tuple[float, float, float], params: DrawnPeopleParams) -> Person:
    x, y, typical = cluster
    kind = params.kinds[random.integers(len(params.kinds))] if len(params.kinds) > 1 else params.kinds[0]
    tall, wide = PROPORTIONS[kind]
    height = float(np.clip(typical * random.lognormal(0, 0.15), params.min_person_height_px, 1.1 * params.height_px))
    height *= tall
    width = max(params.min_person_height_px * 0.35, height * wide * random.lognormal(0, 0.12))
    x = float(np.clip(x + random.normal(0, 1.6 * width), 0.1 * params.width_px, 0.9 * params.width_px))
    y = float(np.clip(y + random.normal(0, 0.12 * params.height_px), 0.25 * params.height_px, 0.75 * params.height_px))
    left, top = round(x - width / 2), round(y - height / 2)
    return Person((left, top, left + round(width), top + round(height)), float(random.uniform()), kind)


def _fits(person: Person, placed: list[Person], max_iou: float) -> bool:
    others = as_boxes([other.box for other in placed])
    return max_iou >= 1 or not len(others) or float(iou(as_boxes([person.box]), others).max()) <= max_iou


def draw_people(
    random: np.random.Generator, people: list[Person], params: DrawnPeopleParams
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """The picture, uint8 (H, W, 3), and who owns each pixel, int16 (H, W), -1 = nobody."""
    size = (params.height_px, params.width_px)
    coarse = random.uniform(60, 190, (4, 4, 3)).astype(np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC)).astype(
        np.float64
    )
    owners = np.full(size, -1, dtype=np.int16)
    for number, person in enumerate(people):
        rows, columns = _inside(person, size)
        alpha, colours = _figure(person, rows, columns)
        under = picture[rows, columns]
        picture[rows, columns] = under * (1 - alpha[..., None]) + colours * alpha[..., None]
        owners[rows, columns][alpha > 0.5] = number
    picture = picture + random.normal(0, 64 * params.noise, (*size, 3))
    return np.clip(picture, 0, 255).astype(np.uint8), owners


def _inside(person: Person, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the image that the person's box covers."""
    x1, y1, x2, y2 = person.box
    return slice(max(0, y1), max(0, min(size[0], y2))), slice(max(0, x1), max(0, min(size[1], x2)))


def _figure(person: Person, rows: slice, columns: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Opacity (h, w) in [0, 1] and colour (h, w, 3) of one figure within those rows and columns of the image."""
    left, top = columns.start, rows.start
    size = (max(0, columns.stop - left), max(0, rows.stop - top))
    if 0 in size:
        return np.zeros(size[::-1]), np.zeros((*size[::-1], 3))
    x1, x2 = ((value - left) * SHAPE_SCALE for value in person.box[::2])
    y1, y2 = ((value - top) * SHAPE_SCALE for value in person.box[1::2])
    canvas = Image.new("RGBA", (size[0] * SHAPE_SCALE, size[1] * SHAPE_SCALE))
    colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(person.hue, 0.9, 0.95))
    SHAPES[person.kind](ImageDraw.Draw(canvas), (x1, y1, x2, y2), (*colour, 255))
    small = np.asarray(canvas.resize(size, Image.Resampling.BOX), dtype=np.float64)
    return small[..., 3] / 255, small[..., :3]


Corners = tuple[int, int, int, int]
Rgba = tuple[int, ...]
EDGE, LINE = (15, 15, 20, 255), max(1, SHAPE_SCALE // 2)


def _draw_person(draw: ImageDraw.ImageDraw, box: Corners, shirt: Rgba) -> None:
    """Head, body and legs, each with a dark outline."""
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    skin, trousers = (236, 188, 150, 255), (40, 44, 92, 255)
    draw.rectangle((x1, y1 + 0.62 * height, x2 - 1, y2 - 1), fill=trousers, outline=EDGE, width=LINE)
    draw.rectangle((x1, y1 + 0.24 * height, x2 - 1, y1 + 0.68 * height), fill=shirt, outline=EDGE, width=LINE)
    head = min(0.13 * height, width / 2)
    middle = x1 + width / 2
    draw.ellipse((middle - head, y1, middle + head, y1 + 0.28 * height), fill=skin, outline=EDGE, width=LINE)


def _draw_ball(draw: ImageDraw.ImageDraw, box: Corners, colour: Rgba) -> None:
    """A disc with a band across it."""
    x1, y1, x2, y2 = box
    draw.ellipse((x1, y1, x2 - 1, y2 - 1), fill=colour, outline=EDGE, width=LINE)
    middle, half = (y1 + y2) / 2, (y2 - y1) / 10
    draw.rectangle((x1 + LINE, middle - half, x2 - 1 - LINE, middle + half), fill=(240, 240, 240, 255))


def _draw_car(draw: ImageDraw.ImageDraw, box: Corners, colour: Rgba) -> None:
    """A cabin on a body on two wheels."""
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    draw.rectangle((x1 + 0.22 * width, y1, x1 + 0.75 * width, y1 + 0.5 * height), fill=(200, 220, 235, 255),
                   outline=EDGE, width=LINE)  # fmt: skip
    draw.rectangle((x1, y1 + 0.4 * height, x2 - 1, y1 + 0.8 * height), fill=colour, outline=EDGE, width=LINE)
    wheel = 0.22 * height
    for middle in (x1 + 0.25 * width, x1 + 0.75 * width):
        draw.ellipse((middle - wheel, y2 - 1 - 2 * wheel, middle + wheel, y2 - 1), fill=(30, 30, 30, 255))


SHAPES: dict[Kind, Callable[[ImageDraw.ImageDraw, Corners, Rgba], None]] = {
    "person": _draw_person, "ball": _draw_ball, "car": _draw_car,
}  # fmt: skip


def _annotation(
    random: np.random.Generator, owners: NDArray[np.int16], number: int, person: Person, params: DrawnPeopleParams
) -> dict[str, Any]:
    """One gtboxes entry, boxes x y w h as CrowdHuman writes them."""
    x1, y1, x2, y2 = person.box
    rows, columns = np.nonzero(owners == number)
    visible = (x1, y1, x2, y2)
    if len(rows):
        visible = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    height, middle = y2 - y1, (x1 + x2) // 2
    head = max(1, min(round(0.13 * height), (x2 - x1) // 2))
    ignored = int(random.uniform() < params.ignore_frac)
    return {
        "fbox": _xywh(person.box),
        "tag": "person",
        "hbox": _xywh((middle - head, y1, middle + head, y1 + max(1, round(0.28 * height)))),
        "extra": {"box_id": number, "occ": int(len(rows) < 0.6 * (x2 - x1) * height), "ignore": ignored},
        "vbox": _xywh(visible),
        "head_attr": {"ignore": 0, "occ": 0, "unsure": 0},
    }


def _xywh(box: tuple[int, int, int, int]) -> list[int]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]
