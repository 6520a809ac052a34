"""One training at a time on a machine: a file lock that dies with its owner."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from components.errors import TrainingError
from components.home import lookout_home


@contextmanager
def training_lock(stage: str) -> Iterator[None]:
    """Held while a training runs. Raises TrainingError that names the process which holds it."""
    path = lookout_home() / "training.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "an unknown process"
            raise TrainingError(f"{stage} cannot start: {holder} is training on this machine; wait or end it") from None
        file.truncate(0)
        file.write(f"{stage} (process {os.getpid()})")
        file.flush()
        yield
