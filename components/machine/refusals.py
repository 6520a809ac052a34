"""What the operating system refuses, as one sentence: a full disk, a folder that cannot be written, a file held back.

Libraries wrap it in errors of their own (safetensors, sqlite3, shutil, torch, MLflow): the whole chain is looked at.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT}
BARRED = {errno.EROFS, errno.EACCES, errno.EPERM}
SAYS_FULL = re.compile(
    r"No space left on device|StorageFull|Disk quota exceeded|database or disk is full|PytorchStreamWriter failed writ"
    r"|inline_container.*unexpected pos|\d+ requested and \d+ written"  # torch and numpy, of a file that was cut
)
SAYS_BARRED = re.compile(
    r"Read-only file system|ReadOnlyFilesystem|Permission denied|PermissionDenied|Operation not permitted"
    r"|readonly database|unable to open database file"
)
OUTPUTS = ("data", "models", "reports", "data/raw", "data/interim", "data/validated", "data/predictions")
PATH = re.compile(r"'(/[^'\n]+)'")


def refusal(error: BaseException) -> str | None:
    """The sentence for an error that the disk is the cause of; None for any other."""
    for one in _chain(error):
        number = one.errno if isinstance(one, OSError) else None
        text = str(one)
        if number in FULL or SAYS_FULL.search(text):
            return f"the disk is full ({_place(one) or 'while writing'}); the old output is whole; free space"
        if number in BARRED or SAYS_BARRED.search(text):
            return _barred(one)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from or in the handling of."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _barred(error: BaseException) -> str:
    place = _place(error)
    if place is None:  # sqlite and safetensors do not say which it was
        place, why = _first_barred(), "cannot be written"
    else:
        place, why = _folder(place)
    return (
        f"{place} {why} ({_reason(error)}): give user {os.getuid()} the right to it, or mount it for writing; "
        "LOOKOUT_HOME and TMPDIR can name another folder for the registry and for temporary files"
    )


def _place(error: BaseException) -> str | None:
    """The path that the error names."""
    if isinstance(error, OSError) and isinstance(error.filename, str | os.PathLike):
        return os.fspath(error.filename)
    found = PATH.search(str(error))
    return found.group(1) if found else None


def _folder(place: str) -> tuple[str, str]:
    """The nearest folder that is there and cannot be written, else the path itself, which cannot be read."""
    path = Path(place).absolute()
    if path.is_file() and not os.access(path, os.R_OK):
        return str(path), "cannot be read"
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    return (str(there), "cannot be written") if not os.access(there, os.W_OK) else (str(path), "cannot be used")


def _first_barred() -> str:
    """The first folder of ours that cannot be written."""
    here, home = Path.cwd(), Path(os.environ.get("LOOKOUT_HOME") or ".lookout").absolute()
    for folder in (home, here, *(here / name for name in OUTPUTS), Path(tempfile.gettempdir())):
        if folder.exists() and not os.access(folder, os.W_OK):
            return str(folder)
    return f"a file or database under {home} or {here}"


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    found = SAYS_BARRED.search(str(error))
    return found.group(0) if found else "refused"
