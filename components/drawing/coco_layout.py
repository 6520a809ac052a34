"""Drawn scenes in COCO's own layout, and in RefCOCO's, which stands on it.

COCO: annotations/instances_<split>.json and <split>/<name>.jpg, one category a kind of drawn thing. RefCOCO:
instances.json, refs.parquet and train2014/; in each image one person is asked for by the colour of the shirt, and
no other wears it. The figures are synthetic.py's; boxes end at the image's edge, as COCO's do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from components.drawing.crowd import SPLITS, Person, draw_people, drawn_rows, place_people
from components.machine.children import process_pool
from components.params.drawing import Colour, DrawnPeopleParams

HUES: dict[Colour, float] = {"red": 0.0, "yellow": 1 / 6, "green": 1 / 3, "blue": 2 / 3, "purple": 5 / 6}
REFERENCE_IMAGES = "train2014"
MOST_IMAGES = 1_000_000
"""Of one split: image IDs are its place times this, and the image's number."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """An image that was written, with its figures; `meant` is the place of the one that is referred to."""

    name: str
    identity: int
    people: list[Person]
    meant: int | None = None
    sentence: str | None = None


def write_kinds(folder: Path, params: DrawnPeopleParams, workers: int) -> dict[str, int]:
    """Fills `folder` with images and an instances file a split; number of things drawn in each split."""
    (folder / "annotations").mkdir(parents=True)
    things: dict[str, int] = {}
    with process_pool(workers) as pool:
        for index, split in enumerate(SPLITS):
            (folder / split).mkdir()
            rows = drawn_rows(pool, partial(_write_kinds, folder / split, params, index), params, split)
            text = json.dumps(_instances(rows, params), separators=(",", ":"))
            (folder / f"annotations/instances_{split}.json").write_text(text)
            things[split] = sum(len(row.people) for row in rows)
    return things


def write_references(folder: Path, params: DrawnPeopleParams, workers: int) -> dict[str, int]:
    """Fills `folder` with images, instances.json and refs.parquet; number of people drawn in each split."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / REFERENCE_IMAGES).mkdir(parents=True)
    with process_pool(workers) as pool:
        splits = {
            split: drawn_rows(pool, partial(_write_reference, folder / REFERENCE_IMAGES, params, index), params, split)
            for index, split in enumerate(SPLITS)
        }
    instances = _instances(list(chain.from_iterable(splits.values())), params)
    (folder / "instances.json").write_text(json.dumps(instances, separators=(",", ":")))
    refs = [_reference(row, split, params) for split, rows in splits.items() for row in rows]
    pq.write_table(pa.Table.from_pylist(refs), folder / "refs.parquet")
    return {split: sum(len(row.people) for row in rows) for split, rows in splits.items()}


def _write_kinds(folder: Path, params: DrawnPeopleParams, split: int, index: int) -> _Drawn:
    random = np.random.default_rng([params.seed, split, index])
    return _written(folder, random, place_people(random, params), params, MOST_IMAGES * split + index)


def _write_reference(folder: Path, params: DrawnPeopleParams, split: int, index: int) -> _Drawn:
    random = np.random.default_rng([params.seed, split, index])
    people = place_people(random, params)
    shirts: Sequence[Colour] = [params.colours[i] for i in random.permutation(len(params.colours))]
    dressed = [replace(person, hue=HUES[shirt]) for person, shirt in zip(people, shirts, strict=False)]
    meant = int(random.integers(len(dressed)))
    drawn = _written(folder, random, dressed, params, MOST_IMAGES * split + index)
    return replace(drawn, meant=meant, sentence=f"{dressed[meant].kind} in {shirts[meant]}")


def _written(
    folder: Path, random: np.random.Generator, people: list[Person], params: DrawnPeopleParams, identity: int
) -> _Drawn:
    name = f"drawn_{identity:07d}.jpg"
    Image.fromarray(draw_people(random, people, params)[0]).save(folder / name, quality=92)
    return _Drawn(name, identity, people)


def _instances(rows: Sequence[_Drawn], params: DrawnPeopleParams) -> dict[str, Any]:
    """COCO's instances JSON of these images."""
    numbers = {kind: number for number, kind in enumerate(params.kinds, start=1)}
    size = {"width": params.width_px, "height": params.height_px}
    return {
        "images": [{"id": row.identity, "file_name": row.name} | size for row in rows],
        "annotations": [
            {"id": _annotation_id(row, place), "image_id": row.identity, "category_id": numbers[person.kind],
             "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            for row in rows
            for place, person in enumerate(row.people)
            for x1, y1, x2, y2 in [_inside(person, params)]
        ],
        "categories": [{"id": number, "name": kind} for kind, number in numbers.items()],
    }  # fmt: skip


def _reference(row: _Drawn, split: str, params: DrawnPeopleParams) -> dict[str, Any]:
    """A row of refs.parquet; its bbox is x1 y1 x2 y2."""
    meant = row.meant or 0
    return {
        "ref_id": row.identity,
        "ann_id": _annotation_id(row, meant),
        "image_id": row.identity,
        "category_id": 1,
        "split": split,
        "sentences": [{"sent": row.sentence}],
        "bbox": [float(side) for side in _inside(row.people[meant], params)],
    }


def _annotation_id(row: _Drawn, place: int) -> int:
    return 100 * row.identity + place


def _inside(person: Person, params: DrawnPeopleParams) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = person.box
    return max(x1, 0), max(y1, 0), min(x2, params.width_px), min(y2, params.height_px)
