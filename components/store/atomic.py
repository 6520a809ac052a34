"""Writers that leave either the old output or the new one, never half of one.

Everything is written beside its target and renamed; a failure (full disk, kill)
leaves the old file as it was. Leftovers of a killed writer are removed by the next.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PARTIAL = ".partial-"


def _clear_leftovers(target: Path) -> None:
    for leftover in target.parent.glob(f"{PARTIAL}{target.name}-*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
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


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Gives an empty folder beside `target` to fill; on success it takes `target`'s place."""
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
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def canonical_json(value: Any) -> str:
    """The one spelling of a JSON value that digests are taken of: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_json(target: Path, value: Any) -> None:
    """Readable, deterministic JSON (sorted keys); NaN is refused: an undefined number is null."""
    with atomic_file(target) as partial:
        partial.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")
