"""Writers that leave either the old output or the new one, never half of one.

Everything is written beside its target and renamed; a failure (full disk, kill)
leaves the old file as it was. Leftovers of a killed writer are removed by the next.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.errors import DataError

PARTIAL = ".partial-"
OUTPUTS = ("data", "models", "reports")
"""Folders of the checkout that stages write to, and DVC knows."""
_made: set[Path] = set()
"""Folders that this process has put in place."""


def _clear_leftovers(target: Path) -> None:
    for leftover in target.parent.glob(f"{PARTIAL}{target.name}-*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


@contextmanager
def atomic_file(target: Path) -> Generator[Path]:
    """Gives a path beside `target` to write to; on success it becomes `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(target)
    handle, name = tempfile.mkstemp(prefix=f"{PARTIAL}{target.name}-", dir=target.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)  # mkstemp makes 0600: a cache shared by a team must stay readable
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _check_ours(target: Path, places: Sequence[Path]) -> None:
    """What stands among the outputs, in `places`, or was made by this process is ours to replace; else nothing is."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise DataError(f"{target} is a link or a file, and a folder is to take its place; move it away")
    where = target.resolve()
    if where in _made or not target.exists() or not any(target.iterdir()):
        return
    roots = [*(Path.cwd().resolve() / name for name in OUTPUTS), *places]
    if not any(root in where.parents for root in roots):
        raise DataError(f"{target} is there already and no output of a stage; name a new folder, or move it away")


@contextmanager
def atomic_folder(target: Path, *places: Path) -> Generator[Path]:
    """Gives an empty folder beside `target` to fill; on success it takes `target`'s place.

    `places`: folders beside the outputs whose content is ours to replace, resolved. Raises DataError where something is
    there that no stage made: replacing it would take away what somebody keeps.
    """
    _check_ours(target, places)
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(target)
    partial = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{target.name}-", dir=target.parent))
    try:
        yield partial
        partial.chmod(0o755)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{target.name}-", dir=target.parent))
            target.rename(old / target.name)
            partial.rename(target)
            shutil.rmtree(old)
        else:
            partial.rename(target)
        _made.add(target.resolve())
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def scratch_folder(target: Path) -> Generator[Path]:
    """Gives an empty folder beside `target` that is removed at the end, whatever happened."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(target)
    folder = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{target.name}-", dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def canonical_json(value: Any) -> str:
    """The one spelling of a JSON value that digests are taken of: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_json(target: Path, value: Any) -> None:
    """Readable, deterministic JSON (sorted keys); NaN is refused: an undefined number is null."""
    with atomic_file(target) as partial:
        partial.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")
