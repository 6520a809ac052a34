"""Drawn people to be counted, in PixMo-Count's own layout: data/<split>-*.parquet and images/<sha256>.png.

The figures are those of synthetic.py. Unlike the published files, every split has points: pictures can show them.
"""

from __future__ import annotations

import hashlib
import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from components.drawing.crowd import SPLITS, draw_people, drawn_rows, place_people
from components.machine.children import process_pool
from components.params.drawing import DrawnPeopleParams

LABEL = "person"
FILES = {"train": "train-00000-of-00001", "val": "validation-00000-of-00001", "test": "test-00000-of-00001"}


def write_counts(folder: Path, params: DrawnPeopleParams, workers: int) -> dict[str, int]:
    """Fills `folder` with images and Parquet files; number of people drawn in each split."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "images").mkdir(parents=True)
    (folder / "data").mkdir()
    place = pa.struct([("x", pa.float32()), ("y", pa.float32())])
    columns = [("image_url", pa.string()), ("image_sha256", pa.string()), ("count", pa.int32())]
    schema = pa.schema([*columns, ("points", pa.list_(place)), ("label", pa.string())])
    people: dict[str, int] = {}
    with process_pool(workers) as pool:
        for index, split in enumerate(SPLITS):
            draw = partial(_write_image, folder / "images", params, index)
            rows = drawn_rows(pool, draw, params, split)
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "data" / f"{FILES[split]}.parquet")
            people[split] = sum(row["count"] for row in rows)
    return people


def _write_image(folder: Path, params: DrawnPeopleParams, split: int, index: int) -> dict[str, Any]:
    random = np.random.default_rng([params.seed, split, index])
    people = place_people(random, params)
    buffer = io.BytesIO()
    Image.fromarray(draw_people(random, people, params)[0]).save(buffer, "PNG")
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    (folder / f"{digest}.png").write_bytes(buffer.getvalue())
    points = [_middle(person.box, params) for person in people]
    url = f"http://drawn.invalid/{digest}.png"
    return {"image_url": url, "image_sha256": digest, "count": len(people), "points": points, "label": LABEL}


def _middle(box: tuple[int, int, int, int], params: DrawnPeopleParams) -> dict[str, float]:
    """The middle of what the image shows of a person."""
    x1, x2 = (min(max(value, 0), params.width_px) for value in box[::2])
    y1, y2 = (min(max(value, 0), params.height_px) for value in box[1::2])
    return {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2}
