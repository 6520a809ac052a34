"""What do ingest and validate cost on a set of CrowdHuman's size, and does memory stay flat?

19,370 tiny images with 440,000 boxes, and a tenth of both; each stage in a process of its own, with nothing kept
from before. The peer is plain JSON reading of the same file. The near-duplicate search is timed apart, and 2,000 images
of 1024 x 768 show what a full decode costs. `python benchmarks/ingest.py` prints one table.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from components.params import BaseParams, ValidateParams, load_section
from components.stages import ingest, validate
from tests.toys import dataset

IMAGES, BOXES = 19_370, 440_000
PHOTOGRAPHS = 2_000


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


def measure(what: str, root: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of one stage in a process of its own."""
    command = [sys.executable, __file__, what, str(root), str(out)]
    environment = os.environ | {"LOOKOUT_HOME": str(out.parent / f"home-{what}")}
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    seconds, peak = answer.stdout.split()[-2:]
    return float(seconds), float(peak)


def child(what: str, root: Path, out: Path) -> None:
    begun = time.perf_counter()
    if what == "ingest":
        ingest.run("crowd", out, dataset(root))
    elif what == "json":
        sum(len(json.loads(line)["gtboxes"]) for line in (root / "annotation_train.odgt").open())
    else:
        # random boxes in tiny pictures overlap and repeat as no crowd does: only errors would stop the stage
        changes = {"near_duplicate_bits": 0 if what == "search" else None, "max_near_duplicate_frac": 1.0}
        params, base = load_section(ValidateParams).model_copy(update=changes), load_section(BaseParams)
        folders = (out, root.parent / "validated", root.parent / "docs")
        validate.run("crowd", *folders, dataset(root), ["person"], params, base)
    seconds = time.perf_counter() - begun
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    print(f"{'images':>8} {'boxes':>8} {'stage':>22} {'seconds':>9} {'peak MB':>9}")
    with tempfile.TemporaryDirectory() as name:
        for images, boxes in ((IMAGES // 10, BOXES // 10), (IMAGES, BOXES)):
            root = draw(Path(name) / str(images) / "raw", images, boxes)
            for what in ("json", "ingest", "validate", "search"):
                seconds, peak = measure(what, root, root.parent / "interim")
                shown = "validate with search" if what == "search" else what
                print(f"{images:>8} {boxes:>8} {shown:>22} {seconds:>9.2f} {peak:>9.0f}", flush=True)
        root = draw(Path(name) / "photographs/raw", PHOTOGRAPHS, 10 * PHOTOGRAPHS, (1024, 768))
        seconds, peak = measure("ingest", root, root.parent / "interim")
        print(f"{PHOTOGRAPHS:>8} {10 * PHOTOGRAPHS:>8} {'ingest, 1024 x 768':>22} {seconds:>9.2f} {peak:>9.0f}")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        child(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
