"""torch's folder of compiled extensions, in which DeepSpeed builds its own: a killed build blocks nobody."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

import psutil

log = logging.getLogger("lookout.training")


def free_builds(folder: Path | None = None) -> None:
    """Takes away each `lock` of a build that was killed: torch waits for the file to go, for ever and without a word.

    Who builds has the file open: one that no process of this machine has open is nobody's. `folder`: torch's own.
    """
    for lock in sorted((folder or _folder()).glob("**/lock")):
        with suppress(FileNotFoundError):  # its build has ended meanwhile
            if lock.stat().st_uid == os.geteuid() and not _is_open(lock):
                lock.unlink()
                log.info("%s: the build that held it was killed; the lock is taken away", lock)


def _folder() -> Path:
    from torch.utils.cpp_extension import get_default_build_root

    return Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())


def _is_open(path: Path) -> bool:
    """Whether a process that this user may look into has the file open."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(Path(opened.path) == path.resolve() for opened in process.open_files()):
                return True
    return False
