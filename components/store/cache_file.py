"""A cache in a sqlite file: it holds nothing of its own, so what cannot be read is made anew."""

from __future__ import annotations

import fcntl
import logging
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from components.errors import DataError

log = logging.getLogger("lookout.cache")
WAIT_S = 60
WORTHLESS = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""What sqlite says of a file that is damaged or none of its own, or whose tables are others."""


def open_cache(file: Path, schema: str, version: int) -> sqlite3.Connection:
    """The file with the tables of `schema` (CREATE ... IF NOT EXISTS), safe to open from many processes at once.

    A file that is damaged, or of another `version` of the tables, is removed with one log line and made anew. Raises
    DataError where the folder does not allow it.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _only_opener(file):
            if file.exists() and file.stat().st_size:
                why = _fault(file, version)
                if not why:
                    return sqlite3.connect(file, timeout=WAIT_S)
                log.warning("the cache %s is made anew: %s", file, why)
                _remove(file)
            return _made(file, schema, version)
    except (sqlite3.OperationalError, OSError) as error:
        raise DataError(
            f"the cache {file} cannot be opened for writing ({error}): look at the rights of {file.parent}, the space "
            "there, and at who holds it"
        ) from None


@contextmanager
def _only_opener(file: Path) -> Generator[None]:
    """One process at a time looks at the file and replaces it."""
    with file.with_name(f"{file.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fault(file: Path, version: int) -> str:
    """Why the file is worthless, empty where it is not."""
    try:
        with closing(sqlite3.connect(file, timeout=WAIT_S)) as connection:
            found = connection.execute("pragma user_version").fetchone()[0]
            said = connection.execute("pragma quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in WORTHLESS:  # sqlite's own number, without the finer one above it
            raise
        return str(error)
    if said != "ok":
        return " ".join(said.split())
    return "" if found == version else f"its tables are of version {found}, not {version}"


def _made(file: Path, schema: str, version: int) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=WAIT_S)
    connection.executescript(f"begin immediate; {schema}; pragma user_version = {version}; commit;")
    return connection


def _remove(file: Path) -> None:
    for name in (file.name, f"{file.name}-journal", f"{file.name}-wal", f"{file.name}-shm"):
        file.with_name(name).unlink(missing_ok=True)
