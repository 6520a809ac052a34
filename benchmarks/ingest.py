"""How long do ingest and validate take on 20,000 annotation lines, and does memory stay flat?

Each runs in a process of its own on a tenth of the lines and on all of them; the peer is plain JSON reading
of the same file. `python benchmarks/ingest.py` prints one table.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from components.params import BaseParams, SyntheticParams, ValidateParams, load_params, load_section
from components.stages import ingest, synthesize, validate
from tests.toys import dataset

LINES = 20_000


def draw(folder: Path, images: int) -> Path:
    values = load_params().synthetic["crowd"].model_dump() | {"images": {"train": images, "val": 1, "test": 1}}
    params = SyntheticParams.model_validate(values | {"width_px": 32, "height_px": 32})
    synthesize.run(folder, params)
    return folder


def measure(what: str, root: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of one stage in a process of its own."""
    command = [sys.executable, __file__, what, str(root), str(out)]
    seconds, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(seconds), float(peak)


def child(what: str, root: Path, out: Path) -> None:
    begun = time.perf_counter()
    if what == "ingest":
        ingest.run("crowd", out, dataset(root))
    elif what == "validate":
        params, base = load_section(ValidateParams), load_section(BaseParams)
        folders = (out, root.parent / "validated", root.parent / "docs")
        validate.run("crowd", *folders, dataset(root), ["person"], params, base)
    else:
        sum(len(json.loads(line)["gtboxes"]) for line in (root / "annotation_train.odgt").open())
    seconds = time.perf_counter() - begun
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    print(f"{'lines':>8} {'stage':>10} {'seconds':>9} {'peak MB':>9}")
    with tempfile.TemporaryDirectory() as name:
        for lines in (LINES // 10, LINES):
            root = draw(Path(name) / str(lines) / "raw", lines)
            for what in ("json", "ingest", "validate"):
                seconds, peak = measure(what, root, root.parent / "interim")
                print(f"{lines:>8} {what:>10} {seconds:>9.2f} {peak:>9.0f}")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        child(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
