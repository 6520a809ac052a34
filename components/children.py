"""No process of ours outlives the one that started it: an orphan would train on beside the run that replaces it.

`python -m components.children MODULE ...` is `python -m MODULE ...` that ends with its parent.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(number: int = signal.SIGTERM) -> bool:
    """Has the kernel send this process `number` when its parent ends (Linux); False where it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    return os.getppid() != 1


if __name__ == "__main__":
    if die_with_parent():
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
