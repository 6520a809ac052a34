"""What does the pipeline cost and reach on one GPU, with a policy of 82 million parameters trained from nothing?

`python benchmarks/gpu.py` composes the profile scratch-82m in a clone of this checkout, runs every stage, and prints
seconds per step, tokens per second, peak GPU memory (of the whole device, by nvidia-smi, once a second) and scores.
It is the same code and graph as the default run. It needs a GPU; without one it says so and ends.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

PROFILE = sys.argv[1] if len(sys.argv) > 1 else "scratch-82m"
SCRATCH = Path(".lookout") / f"gpu-{PROFILE}"


class PeakMemory(threading.Thread):
    """The most memory in use on the first GPU while this runs, in MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mib, self._ended = 0, threading.Event()

    def run(self) -> None:
        query = ["nvidia-smi", "--id=0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        while not self._ended.wait(1.0):
            self.peak_mib = max(
                self.peak_mib, int(subprocess.run(query, capture_output=True, text=True, check=False).stdout or 0)
            )

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def __enter__(self) -> PeakMemory:
        self.start()
        return self


def main() -> None:
    import torch

    if not torch.cuda.is_available():
        sys.exit("error: no GPU is to be seen here; this benchmark has nothing to measure")
    shutil.rmtree(SCRATCH, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", ".", str(SCRATCH)], check=True)
    os.chdir(SCRATCH)
    os.environ |= {"PYTHONPATH": ".", "LOOKOUT_HOME": str(Path(".lookout").resolve()), "DVC_NO_ANALYTICS": "1"}
    python("components.cli.main", "compose", PROFILE)
    print(f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}, profile {PROFILE}")
    print(f"{'stage':<14}{'seconds':>9}{'s/step':>9}{'tokens/s':>10}{'peak, MiB':>11}")
    for stage in ("prompts", "sft", "grpo", "predict@grpo", "register"):
        with PeakMemory() as memory:
            begun = time.monotonic()
            python("dvc", "repro", "--quiet", stage)
            seconds = time.monotonic() - begun
        per_step, tokens = training_rate(stage, seconds)
        print(f"{stage:<14}{seconds:>9.0f}{per_step:>9}{tokens:>10}{memory.peak_mib:>11}", flush=True)
    for model in ("sft", "grpo"):
        scores = json.loads(Path(f"reports/scores/{model}/metrics.json").read_text())
        found = scores["detection"]
        numbers = ", ".join(
            f"{name} {found[name]:.3f}" for name in ("precision", "recall", "f1") if found[name] is not None
        )
        print(f"{model}: format {scores['format_rate']:.3f}, {numbers}, AP50 {scores['coco']['AP50']:.3f}")


def python(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


def training_rate(stage: str, seconds: float) -> tuple[str, str]:
    """Seconds a step (start-up included) and, for grpo, completion tokens a second."""
    curves = Path(f"reports/training/{stage}/curves.csv")
    if not curves.exists():
        return "", ""
    with curves.open() as file:
        rows = list(csv.DictReader(file))
    steps = int(rows[-1]["step"])
    if stage != "grpo":
        return f"{seconds / steps:.2f}", ""
    from components.params.grpo import GrpoParams
    from components.params.reading import load_section

    params = load_section(GrpoParams)
    batch = params.per_device_train_batch_size * params.gradient_accumulation_steps * params.launch.processes
    tokens = sum(float(row["mean_length"]) for row in rows) / len(rows) * batch * steps
    return f"{seconds / steps:.2f}", f"{tokens / seconds:.0f}"


if __name__ == "__main__":
    main()
