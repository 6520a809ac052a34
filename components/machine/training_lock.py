"""One training at a time on a machine: file locks that die with their owner."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from components.errors import TrainingError
from components.machine.home import lookout_home

JOBS = "LOOKOUT_JOBS"
_MOST = 8


@contextmanager
def training_lock(stage: str) -> Iterator[None]:
    """Held while a training runs. LOOKOUT_JOBS trainings may run at once on this machine, one by default.

    It belongs to the process, not to a file that could be left behind: also an orphan whose dvc was
    killed holds it, and a kill frees it. Raises TrainingError that names who holds it.
    """
    with ExitStack() as stack:
        with (_folder() / "guard").open("a") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)  # two that start together count one after the other
            slot = _free_slot(stage, stack)
        slot.truncate(0)
        slot.write(f"{stage} (process {os.getpid()})")
        slot.flush()
        yield


def holders() -> list[str]:
    """Who trains on this machine right now."""
    return [who for who in map(_holder, _slots()) if who]


def _folder() -> Path:
    folder = lookout_home() / "locks" / socket.gethostname()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _slots() -> list[Path]:
    return [_folder() / f"training-{number}" for number in range(_MOST)]


def _holder(slot: Path) -> str:
    """Who holds this slot, empty where nobody does."""
    with slot.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            return file.read().strip() or "an unknown process"
    return ""


def _free_slot(stage: str, stack: ExitStack) -> IO[str]:
    holders: list[str] = []
    free: list[IO[str]] = []
    for path in _slots():
        file = stack.enter_context(path.open("a+"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free.append(file)
        except BlockingIOError:
            file.seek(0)
            holders.append(file.read().strip() or "an unknown process")
    if len(holders) >= _jobs():
        raise TrainingError(
            f"{stage} cannot start: on this machine {' and '.join(holders)} is training; wait or end it "
            f"(or let more run at once: {JOBS}={len(holders) + 1})"
        )
    for file in free[1:]:
        file.close()
    return free[0]


def _jobs() -> int:
    text = os.environ.get(JOBS, "1")
    if not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise TrainingError(f"{JOBS} is {text!r}, want how many trainings may run at once on this machine (1 to 8)")
    return int(text)
