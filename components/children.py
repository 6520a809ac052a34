"""No process of ours outlives the one that started it: an orphan would train on beside the run that replaces it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(number: int = signal.SIGTERM) -> bool:
    """Has the kernel send this process `number` when its parent ends (Linux); False where the parent is gone already.

    It may be called in the child before exec: the setting survives that.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    return os.getppid() != 1
