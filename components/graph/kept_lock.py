"""dvc.lock, kept whole: DVC empties the file before it writes it, and a kill in between leaves half of one.

Each stage begins by keeping a copy: DVC has just read the file, so it is whole. `lookout doctor --repair` puts it back.
"""

from __future__ import annotations

import os
from pathlib import Path

from components.errors import DataError
from components.graph.dvc_lock import LOCK_FILE, lock_in_conflict, read_lock_file, torn
from components.store.atomic import atomic_file

KEPT = Path(".lookout/dvc.lock")
TORN = Path(".lookout/dvc.lock.torn")
STARTED_BY_DVC = "DVC_STAGE"
"""A variable that DVC gives to what it starts."""


def keep() -> None:
    """Copies dvc.lock to KEPT of this checkout; where DVC did not start this process, nothing."""
    if STARTED_BY_DVC in os.environ and LOCK_FILE.exists():
        with atomic_file(KEPT) as partial:
            partial.write_bytes(LOCK_FILE.read_bytes())


def check(path: Path = LOCK_FILE) -> None:
    """Raises DataError, with the command that mends it, where DVC could not read the file; none at all is fine."""
    if not path.exists():
        return
    from dvc.exceptions import DvcException
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.strictyaml import load

    read_lock_file(path)
    try:
        load(str(path), COMPILED_LOCKFILE_SCHEMA)
    except DvcException as error:
        why = str(error.__cause__ or error).strip().splitlines()[0]
        raise DataError(torn(str(path), why[:80])) from None


def repair() -> str | None:
    """Puts the last whole dvc.lock back and says so; None where nothing is torn.

    The torn one is set aside. Without a whole one it is taken away: DVC brings every result back from its run cache.
    Raises DataError for a merge's markers: which side is right is not ours to choose.
    """
    if _is_whole(LOCK_FILE):
        return None
    if lock_in_conflict(LOCK_FILE.read_text(errors="replace")):
        check()
    TORN.parent.mkdir(exist_ok=True)
    if not KEPT.exists() or not _is_whole(KEPT):
        LOCK_FILE.replace(TORN)
        return f"{LOCK_FILE} was torn and no whole one is kept: it is {TORN} now; dvc repro makes it anew"
    TORN.write_bytes(LOCK_FILE.read_bytes())
    with atomic_file(LOCK_FILE) as partial:
        partial.write_bytes(KEPT.read_bytes())
    return f"{LOCK_FILE} was torn: the last whole one is back, the torn one is {TORN}; dvc repro goes on from it"


def _is_whole(path: Path) -> bool:
    try:
        check(path)
    except DataError:
        return False
    return True
