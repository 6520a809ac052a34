"""Short, real GRPO trainings and how long each of their steps took: what scaling.py is drawn from.

A run is train_grpo with the committed params but for what a Setting changes, from a policy that has learned
nothing: its completions run to the length limit, so that a step's size is what the Setting says. A step is timed
from the end of the one before to its own end: loading, generation, rewards, log-probabilities, backward, update.
`python -m benchmarks.grpo_runs SPEC.json` is one process of them.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

WARM_UP = 1


@dataclass(frozen=True, slots=True)
class Setting:
    """One run. `prompts` is how many a step has, all processes together."""

    group: int = 8
    prompts: int = 4
    image_px: int = 64
    completion_tokens: int = 64

    @property
    def image_tokens(self) -> int:
        """Patches of 8 pixels, merged by two and two."""
        return (self.image_px // 16) ** 2


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of each step after the warm-up, and the mean length of a completion."""

    step_s: tuple[float, ...]
    mean_tokens: float


def run_settings(folder: Path, settings: Sequence[Setting], steps: int, processes: int = 1) -> list[Run]:
    """Trains each setting in turn in one launch of so many processes; `folder` keeps data and policies for the next."""
    spec, answer = folder / f"spec-{processes}.json", folder / f"runs-{processes}.json"
    wanted = {"folder": str(folder), "answer": str(answer), "steps": steps, "processes": processes}
    spec.write_text(json.dumps(wanted | {"settings": [asdict(setting) for setting in settings]}))
    launcher = ["torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", "-m"]
    command = [sys.executable, "-m", *(launcher if processes > 1 else []), "benchmarks.grpo_runs", str(spec)]
    environment = os.environ | {"LOOKOUT_HOME": str(folder / "home"), "PYTHONPATH": ".", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"the GRPO runs on {processes} processes ended with: {ended.stderr[-2000:]}")
    return [Run(tuple(run["step_s"]), run["mean_tokens"]) for run in json.loads(answer.read_text())]


def train_settings(spec: dict[str, Any]) -> None:
    """What a process does: each setting's training, and from the first process their times."""
    import transformers.trainer

    ends: list[float] = []

    class StepEnds(transformers.TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            ends.append(time.perf_counter())

    # every trainer has these callbacks, whichever class trains: train_grpo need not know that it is timed
    callbacks: Any = transformers.trainer.DEFAULT_CALLBACKS
    callbacks.append(StepEnds)
    runs: list[Run] = []
    for number, values in enumerate(spec["settings"]):
        ends.clear()
        setting, out = Setting(**values), Path(spec["folder"]) / f"out-{spec['processes']}-{number}"
        reports = _train(Path(spec["folder"]), setting, out, spec["steps"], spec["processes"])
        if os.environ.get("RANK", "0") == "0":
            with (reports / "curves.csv").open() as file:
                lengths = [float(row["mean_length"]) for row in csv.DictReader(file)]
            step_s = tuple(after - before for before, after in zip(ends[WARM_UP - 1 :], ends[WARM_UP:], strict=False))
            runs.append(Run(step_s, sum(lengths) / len(lengths)))
    if runs:
        Path(spec["answer"]).write_text(json.dumps([asdict(run) for run in runs]))


def _train(folder: Path, setting: Setting, out: Path, steps: int, processes: int) -> Path:
    from components.params.grpo import GrpoParams
    from components.params.reading import load_section
    from components.params.rewards import RewardsParams
    from components.training.grpo import train_grpo

    base, prompts = prepared(folder, setting.image_px)
    params = load_section(GrpoParams)
    changes = {
        "max_steps": WARM_UP + steps,
        "per_device_train_batch_size": setting.group * setting.prompts // processes,
        "num_generations": setting.group,
        "max_completion_length": setting.completion_tokens,
        "save_steps": 10_000,  # the last step saves, after it has been timed
        "kept_rollout_groups": 0,
        "launch": params.launch.model_copy(update={"processes": processes}),
    }
    reports = out / "reports"
    train_grpo(base, prompts, out / "model", reports, params.model_copy(update=changes), load_section(RewardsParams))
    return reports


def prepared(folder: Path, image_px: int) -> tuple[Path, Path]:
    """The untrained policy and the prompts for images of so many pixels a side, by the real stages; made once."""
    from components.params.base import BaseParams
    from components.params.prompts import PromptParams
    from components.params.reading import load_section
    from components.policy.base import write_base
    from components.prompting import build as prompts_stage
    from components.sources import ingest
    from components.stages import synthesize
    from components.store.schemas.validated import QUARANTINE
    from components.store.tables import write_table
    from tests.support.toys import dataset, synthetic

    here = (folder / f"data-{image_px}").resolve()
    base, prompts = here / "base", here / "prompts"
    if prompts.exists():
        return base, prompts / "grpo.parquet"
    base.mkdir(parents=True)
    build = load_section(BaseParams).build
    bounds = {"min_pixels": image_px**2, "max_pixels": image_px**2, "max_length": 4096}
    write_base(base, BaseParams(build=build.model_copy(update=bounds) if build else None))
    few = {"images": {"train": 40, "val": 1, "test": 1}}
    synthesize.run(here / "raw", synthetic(here / "raw", width_px=image_px, height_px=image_px, **few))
    params = load_section(PromptParams)
    wide = {"template": str(Path(params.template).resolve()), "max_completion_tokens": 4096}
    with contextlib.chdir(here):
        ingest.run("crowd", prompts_stage.INTERIM / "crowd", dataset(here / "raw"))
        write_table(prompts_stage.VALIDATED / "crowd/quarantine.parquet", QUARANTINE, [])
        prompts_stage.run(base, prompts, {"crowd": dataset(here / "raw")}, params.model_copy(update=wide))
    return base, prompts / "grpo.parquet"


if __name__ == "__main__":
    train_settings(json.loads(Path(sys.argv[1]).read_text()))
