"""What do ingest and validate cost on a set of CrowdHuman's size, and does memory stay flat?

19,370 tiny images with 440,000 boxes, and a tenth of both (the quick form: a tenth only); each stage in a process of
its own, with nothing kept from before. The peer is the least that any reader does: the annotations by json, each image
decoded by Pillow. The near-duplicate search is timed apart, and 2,000 images of 1024 x 768 show what a full decode
costs. `python -m benchmarks.ingest` prints one table.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measuring import REPEATS, Cell, Form, Table, measure_child, peak_mb, run_script
from components.params.base import BaseParams
from components.params.reading import load_section
from components.params.validate import ValidateParams
from components.sources import ingest
from components.stages import validate
from tests.support.toys import dataset

IMAGES, BOXES = 19_370, 440_000
PHOTOGRAPHS = 2_000
SHARES: dict[Form, tuple[float, ...]] = {"full": (0.1, 1.0), "quick": (0.1,), "smoke": (0.002,)}
STAGES = {
    "json": "json alone",
    "peer": "json and Pillow",
    "ingest": "ingest",
    "validate": "validate",
    "search": "validate with search",
}


def draw(folder: Path, images: int, boxes: int, size: tuple[int, int] = (24, 18)) -> Path:
    """A set in CrowdHuman's layout; boxes lie inside the images, in three splits."""
    random = np.random.default_rng(images)
    (folder / "Images").mkdir(parents=True)
    owners = np.sort(random.integers(0, images, boxes))
    counts = np.bincount(owners, minlength=images)
    lines: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for i in range(images):
        name = f"{i:06d},ab"
        coarse = random.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        if size[0] > 100:
            grain = np.asarray(picture, dtype=np.int16) + random.normal(0, 12, (size[1], size[0], 1)).astype(np.int16)
            picture = Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))
        picture.save(folder / f"Images/{name}.jpg", quality=90)
        corner = random.integers(0, [size[0] - 8, size[1] - 8], (counts[i], 2))
        sides = random.integers(2, 8, (counts[i], 2))
        rows = np.concatenate([corner, sides], axis=1).tolist()
        people = [
            {"fbox": row, "vbox": row, "hbox": [*row[:2], 1, 1], "tag": "person", "extra": {"box_id": n}}
            for n, row in enumerate(rows)
        ]
        lines["test" if i % 10 == 0 else "val" if i % 50 == 1 else "train"].append(
            json.dumps({"ID": name, "gtboxes": people})
        )
    for split, texts in lines.items():
        (folder / f"annotation_{split}.odgt").write_text("\n".join(texts) + "\n")
    return folder


def measure(what: str, root: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of one stage in a process of its own."""
    return measure_child("benchmarks.ingest", what, root, root.parent / "interim")


def read_plainly(root: Path, decode: bool) -> None:
    for path in sorted(root.glob("*.odgt")):
        for line in path.open():
            entry = json.loads(line)
            if decode:
                with Image.open(root / f"Images/{entry['ID']}.jpg") as picture:
                    picture.convert("RGB")


def child(what: str, root: Path, out: Path) -> None:
    begun = time.perf_counter()
    if what == "ingest":
        ingest.run("crowd", out, dataset(root))
    elif what in {"json", "peer"}:
        read_plainly(root, decode=what == "peer")
    else:
        # random boxes in tiny pictures overlap and repeat as no crowd does: only errors would stop the stage
        changes = {"near_duplicate_bits": 0 if what == "search" else None, "max_near_duplicate_frac": 1.0}
        params, base = load_section(ValidateParams).model_copy(update=changes), load_section(BaseParams)
        own = Path(tempfile.mkdtemp(dir=root.parent))  # no process replaces what another one made
        folders = (out, own / "validated", own / "docs")
        validate.run("crowd", *folders, dataset(root), ["person"], params, base)
    seconds = time.perf_counter() - begun
    print(seconds, peak_mb())


def tables(form: Form) -> list[Table]:
    rows: list[tuple[Cell, ...]] = []
    with tempfile.TemporaryDirectory() as name:
        for share in SHARES[form]:
            images, boxes = int(IMAGES * share), int(BOXES * share)
            root = draw(Path(name) / str(images) / "raw", images, boxes)
            rows += _rows(root, images, boxes, STAGES, REPEATS[form])
        images = int(PHOTOGRAPHS * SHARES[form][-1])
        root = draw(Path(name) / "photographs/raw", images, 10 * images, (1024, 768))
        big = {"peer": "json and Pillow, 1024 x 768", "ingest": "ingest, 1024 x 768"}
        rows += _rows(root, images, 10 * images, big, REPEATS[form])
    columns = ("images", "boxes", "stage", "s", "stage / json and Pillow", "images/s", "peak MB")
    note = (
        "Images of 24 x 18 pixels unless said otherwise. Each row is a fresh process; importing Great Expectations "
        "counts with validate."
    )
    return [Table("Ingest and validate", columns, tuple(rows), note)]


def _rows(root: Path, images: int, boxes: int, stages: dict[str, str], repeats: int) -> list[tuple[Cell, ...]]:
    """A row a stage; the stages take turns."""
    runs = [{what: measure(what, root) for what in stages} for _ in range(repeats)]
    seconds = {what: statistics.median(run[what][0] for run in runs) for what in stages}
    return [
        (images, boxes, shown, seconds[what], seconds[what] / seconds["peer"], images / seconds[what],
         statistics.median(run[what][1] for run in runs))
        for what, shown in stages.items()
    ]  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        run_script(tables, __doc__)
