"""Drawn letters to be read: <split>.jsonl with image and text, and images/ beside it, as sources/pages.py reads them.

Every letter stands in a cell of its own, off its middle by chance, in a size and a shade of its own, on a noisy ground.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from components.drawing.crowd import SPLITS, drawn_rows
from components.machine.children import process_pool
from components.params.drawing import DrawnTextParams


def write_text(folder: Path, params: DrawnTextParams, workers: int) -> dict[str, int]:
    """Fills `folder` with images and a file of rows a split; number of letters written in each split."""
    (folder / "images").mkdir(parents=True)
    letters: dict[str, int] = {}
    with process_pool(workers) as pool:
        for index, split in enumerate(SPLITS):
            draw = partial(_write_image, folder / "images", params, index)
            rows = drawn_rows(pool, draw, params, split)
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            letters[split] = sum(len(row["text"]) for row in rows)
    return letters


def _write_image(folder: Path, params: DrawnTextParams, split: int, index: int) -> dict[str, str]:
    random = np.random.default_rng([params.seed, split, index])
    count = int(random.integers(params.letters_min, params.letters_max + 1))
    text = "".join(params.letters[i] for i in random.integers(len(params.letters), size=count))
    name = f"{SPLITS[split]}{index:06d}.png"
    _picture(random, text, params).save(folder / name)
    return {"image": name, "text": text}


def _picture(random: np.random.Generator, text: str, params: DrawnTextParams) -> Image.Image:
    size = (params.width_px, params.height_px)
    coarse = random.uniform(140, 230, (2, 4, 3)).astype(np.uint8)
    image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    cell = params.width_px / params.letters_max
    smallest, largest = params.letter_height_px
    for place, letter in enumerate(text):
        font = ImageFont.load_default(float(random.uniform(smallest, largest)))
        x, y = random.normal((cell * (place + 0.5), params.height_px / 2), params.jitter_px)
        ink = tuple(int(part) for part in random.integers(0, 110, 3))
        draw.text((x, y), letter, fill=ink, font=font, anchor="mm")
    noisy = np.asarray(image, dtype=np.float64) + random.normal(0, 64 * params.noise, (size[1], size[0], 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
