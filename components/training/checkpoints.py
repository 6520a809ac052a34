"""Resume points of one exact run. They live under LOOKOUT_HOME: DVC removes a stage's outputs before it runs."""

from __future__ import annotations

import fcntl
import logging
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ModelError, TrainingError
from components.machine.home import lookout_home
from components.policy.weight_files import WEIGHTS, tensors_of

if TYPE_CHECKING:
    from transformers import TrainerState

log = logging.getLogger("lookout.training")
CHECKED = {".safetensors", ".pt", ".pth"}


def checkpoint_folder(stage: str, fingerprint: str) -> Path:
    """Where this run and no other keeps its resume points."""
    return lookout_home() / "checkpoints" / f"{stage}-{fingerprint[:16]}"


@contextmanager
def sole_run(stage: str, checkpoints: Path) -> Iterator[None]:
    """Held while one exact run trains: two of them would write the same resume points.

    Raises TrainingError where that very run is already under way.
    """
    checkpoints.parent.mkdir(parents=True, exist_ok=True)
    with checkpoints.with_suffix(".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(f"{stage} cannot start: this very run is already under way; wait for it") from None
        yield


def is_held(checkpoints: Path) -> bool:
    """Whether a training is at these resume points right now."""
    lock = checkpoints.with_suffix(".lock")
    if not lock.exists():
        return False
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def resume_point(stage: str, folder: Path, processes: int = 1, say: bool = True) -> Path | None:
    """The newest resume point that is whole, None where there is none.

    With `say` (one process of several) the log names each newer one that is damaged, and these are removed: the
    training will write them again.
    """
    attempted = folder.exists()
    for path in _newest_first(folder):
        why = what_is_wrong(path, processes)
        if why is None:
            return path
        if say:
            log.warning("%s: the resume point %s is left out, an older one is looked for: %s", stage, path.name, why)
            shutil.rmtree(path, ignore_errors=True)
    if attempted and say:
        log.info("%s: an earlier attempt at this run left no whole resume point: it begins anew", stage)
    return None


def _newest_first(folder: Path) -> list[Path]:
    there = [path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    return sorted(there, key=lambda path: int(path.name.removeprefix("checkpoint-")), reverse=True)


def what_is_wrong(checkpoint: Path, processes: int = 1) -> str | None:
    """Why a resume point cannot be gone on from, None where it is whole.

    The trainer writes trainer_state.json last: without it the rest was cut by a kill. Each other file is looked at
    too, since a power cut or a full disk cuts what was written before: weights by their header and length, torch's
    files (zip) by the checksum of every part.
    """
    try:
        state_of(checkpoint)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"trainer_state.json is missing or cut ({error})"
    written = len(list(checkpoint.glob("rng_state*.pth")))
    if written != processes:
        return f"{written} of {processes} processes have written their part"
    if not list(checkpoint.glob(WEIGHTS)):
        return "it has no weights"
    files = sorted(path for path in checkpoint.rglob("*") if path.suffix in CHECKED)
    return next(filter(None, map(_damage, files)), None)


def _damage(path: Path) -> str | None:
    """What is wrong with one file of a resume point."""
    try:
        if path.suffix == ".safetensors":
            tensors_of(path)
            return None
        with zipfile.ZipFile(path) as parts:
            bad = parts.testzip()
    except (zipfile.BadZipFile, ModelError, OSError) as error:
        return f"{path.name} is cut or damaged ({error})"
    return None if bad is None else f"{path.name} is damaged at {bad}"


def state_of(checkpoint: Path) -> TrainerState:
    """The trainer's state at a resume point: its step, what it logged. Raises OSError, ValueError or TypeError."""
    from transformers import TrainerState

    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    if state.global_step < 1:
        raise ValueError(f"global_step {state.global_step}")
    return state
