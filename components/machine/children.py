"""No process of ours outlives the one that started it: an orphan would train on beside the run that replaces it.

`python -m components.machine.children MODULE ...` is `python -m MODULE ...` that ends with its parent. It asks
for that before MODULE is imported: what a stage imports takes seconds, in which its parent can be killed.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.machine.workers import is_worker

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

PR_SET_PDEATHSIG = 1
STARTERS = ("python", "dvc", "lookout", "prefect")
"""Names of programs that start others of ours."""


def die_with_parent(number: int | None = None) -> bool:
    """Has the kernel send this process `number` when its parent ends (Linux); False where it has ended already.

    SIGTERM; SIGKILL for one process of several: it may hang in a collective that no signal handler interrupts.
    """
    if number is None:
        number = signal.SIGKILL if is_worker() else signal.SIGTERM
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    return not _adopted()


def _adopted() -> bool:
    """Whether the parent is no longer the one that started this process.

    An orphan goes to process 1 or to a reaper of its login session: neither is of this process's session. Where the
    starter is process 1 itself, as in a container, it has the name of one.
    """
    parent = os.getppid()
    if sys.platform != "linux":
        return parent == 1
    if parent == 1:
        return not Path("/proc/1/comm").read_text().startswith(STARTERS)
    if os.getsid(0) == os.getpid():
        return False  # the starter gave it a session of its own
    try:
        return os.getsid(parent) != os.getsid(0)
    except ProcessLookupError:
        return True


def process_pool(workers: int, **more: Any) -> ProcessPoolExecutor:
    """A pool whose processes do not outlive this one, however it ends."""
    from concurrent.futures import ProcessPoolExecutor

    return ProcessPoolExecutor(workers, initializer=_begin_worker, initargs=(more.pop("initializer", None),), **more)


def _begin_worker(initializer: Any) -> None:
    if not die_with_parent(signal.SIGKILL):
        os._exit(1)
    if initializer is not None:
        initializer()


if __name__ == "__main__":
    if not die_with_parent():
        sys.exit("error: the process that started this one has ended")
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
