"""dvc.lock, kept whole: DVC empties the file before it writes it, and a kill in between leaves half of one.

Each stage begins by keeping a copy, and `lookout doctor --repair` puts it back. DVC itself reads most halves without a
word, as YAML that ends early is YAML: what it writes next then lacks every stage behind the cut.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from components.errors import DataError
from components.graph.dvc_lock import LOCK_FILE, lock_in_conflict, read_lock_file, torn
from components.machine.dvc import free_in_use
from components.store.atomic import atomic_file

KEPT = Path(".lookout/dvc.lock")
TORN = Path(".lookout/dvc.lock.torn")
_STAGE = re.compile(rb"^  (?=\S)", re.MULTILINE)
STARTED_BY_DVC = "DVC_STAGE"
"""A variable that DVC gives to what it starts."""


def keep() -> None:
    """Copies dvc.lock to KEPT of this checkout; where DVC did not start this process, nothing.

    Raises DataError where the file is cut.
    """
    if STARTED_BY_DVC in os.environ and LOCK_FILE.exists():
        content = LOCK_FILE.read_bytes()
        if _is_cut(content):
            raise DataError(torn(str(LOCK_FILE), "it ends early"))
        with atomic_file(KEPT) as partial:
            partial.write_bytes(content)


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
    if _is_cut(path.read_bytes()):
        raise DataError(torn(str(path), "its last stage is cut"))


def repairs() -> list[str]:
    """Mends what a kill of DVC has torn in this checkout, and says so; empty where nothing is torn."""
    return [said for mend in (repair, free_in_use) if (said := mend())]


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


def _is_cut(content: bytes) -> bool:
    """Whether it ends within a line, or within a stage that the kept one has whole."""
    if not content.endswith(b"\n"):
        return True
    begins = [found.start() for found in _STAGE.finditer(content)]
    if not begins or not KEPT.exists():
        return False
    kept, last = KEPT.read_bytes(), content[begins[-1] :]
    at = kept.find(last)
    return at >= 0 and kept.startswith(b"    ", at + len(last))  # what is deeper than a name belongs to the same stage


def _is_whole(path: Path) -> bool:
    try:
        check(path)
    except DataError:
        return False
    return True
