"""Resume points of one exact run. They live under LOOKOUT_HOME: DVC removes a stage's outputs before it runs."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from components.code_deps import code_deps
from components.errors import TrainingError
from components.home import lookout_home
from components.params import TrainerParams
from components.store.atomic import canonical_json
from components.store.digest import file_sha256
from components.training.policy import weights_sha256

LIBRARIES = ("torch", "transformers", "trl", "accelerate", "peft", "deepspeed", "numpy")


def run_fingerprint(stage: str, start: Path, prompts: Path, params: dict[str, Any]) -> str:
    """SHA-256 over everything that decides the run: weights, prompts, params, code, libraries."""
    decides = {
        "stage": stage,
        "starting_weights": weights_sha256(start),
        "prompts": file_sha256(prompts),
        "params": params,
        "code": {path: file_sha256(Path(path)) for path in code_deps(stage)},
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    return hashlib.sha256(canonical_json(decides).encode()).hexdigest()


def checkpoint_folder(stage: str, fingerprint: str) -> Path:
    """Where this run and no other keeps its resume points."""
    return lookout_home() / "checkpoints" / f"{stage}-{fingerprint[:16]}"


def last_whole_checkpoint(folder: Path, processes: int = 1) -> Path | None:
    """The newest checkpoint that was written to its end by all processes, None where there is none.

    The trainer writes trainer_state.json last: a folder without a readable one was cut by a kill.
    """
    found = [path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    for path in sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")), reverse=True):
        if _whole(path) and len(list(path.glob("rng_state*.pth"))) == processes:
            return path
    return None


def _whole(checkpoint: Path) -> bool:
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, json.JSONDecodeError):
        return False
    return isinstance(state, dict) and "global_step" in state


def refuse_full_disk(stage: str, start: Path, folder: Path, params: TrainerParams) -> None:
    """Raises TrainingError where the resume points and the new model would not fit beside what lies in `folder`.

    An estimate from the size of the starting weights: a resume point holds them and AdamW's two moments in 32 bits
    (DeepSpeed's a master copy too), three are there while one is written; an adapter's are small. The new model is
    written beside the old one.
    """
    weights = sum(path.stat().st_size for path in start.glob("*.safetensors"))
    point = 0.1 if params.lora else 5 if params.launch.deepspeed == "none" else 7
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    needed = weights * (3 * point + 2) - there
    free = shutil.disk_usage(folder.parent).free
    if needed > free:
        raise TrainingError(
            f"{stage} cannot start: resume points and model need about {needed / 2**30:.1f} GiB more at "
            f"{folder.parent}, {free / 2**30:.1f} are free; free space (lookout gc) or put LOOKOUT_HOME elsewhere"
        )
