"""The registry's own sqlite file: made whole or not at all, waited for, backed up before it changes, explained where it
is damaged. A registry behind a server or in PostgreSQL has none, and its owner's backups.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import quote

from components.errors import RegistryError
from components.machine.home import lookout_home
from components.machine.last_words import reason
from components.model_registry.address import mlflow_uri
from components.model_registry.mlflow_types import mlflow_module
from components.store.atomic import atomic_file

log = logging.getLogger("lookout.registry")
FILE_WAIT_S, LOOK_S, SAY_S = 60.0, 0.2, 60.0
KEPT_BACKUPS = 5
BACKUP = ".backup-"
DAMAGED = ("malformed", "not a database", "file is encrypted", "database corruption")
LOCKED = ("database is locked", "database table is locked")
CLOSED = ("unable to open database", "readonly database", "read-only", "permission denied")


def store_file() -> Path | None:
    """The sqlite file of the registry in force; None where a server or another database keeps it."""
    uri = mlflow_uri()
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def ready_store() -> None:
    """Makes the file where there is none, and brings an older MLflow's to this one's tables, with a backup before.

    Waits for FILE_WAIT_S where another process holds it, and says for whom. Raises RegistryError where that is not
    enough, and where the file is damaged.
    """
    file = store_file()
    if file is None:
        return
    _make(file)
    if file.stat().st_size == 0:  # what we make is renamed into place whole: somebody has emptied it
        raise RegistryError(damaged(file, "it is empty"))
    _migrate(file, _waited(file, _revision))


def ready_to_write() -> None:
    """Waits until the file can be written, and keeps a backup of it where it has changed since the last one.

    Raises RegistryError where it is held for too long, damaged, or where there is no room for the backup.
    """
    file = store_file()
    if file is not None:
        _waited(file, _lock_once)
        _back_up(file)


def sentence_of(said: str) -> str | None:
    """What to do about a failure of the sqlite file, by what was said of it; None where it is none of those."""
    file, text = store_file(), said.casefold()
    if file is None:
        return None
    if any(word in text for word in DAMAGED):
        return damaged(file, next(word for word in DAMAGED if word in text))
    if any(word in text for word in LOCKED):
        return _held(file)
    if any(word in text for word in CLOSED):
        return f"the registry {file} cannot be opened or written here: look at the rights of it and of {file.parent}"
    return None


def damaged(file: Path, what: str) -> str:
    """The sentence for a file that sqlite does not read, with the commands that mend it."""
    kept = backups(file)
    back = f"put the newest backup there (`cp {kept[-1]} {file}`), and run" if kept else "run"
    lacking = " what the backup lacks" if kept else "; there is no backup"
    return (
        f"the registry {file} is damaged ({what}): move it away (`mv {file} {file}.damaged`), {back} "
        f"`lookout register`, which registers from what DVC holds{lacking}"
    )


def backups(file: Path) -> list[Path]:
    """Its backups, oldest first."""
    return sorted(file.parent.glob(f"{file.name}{BACKUP}*"))


def wait_for(lock: IO[str], wait_s: float, what: str) -> None:
    """Takes an exclusive lock of ours, whose file says who has it. Raises RegistryError after `wait_s` seconds."""
    begun, said = time.monotonic(), -SAY_S
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        lock.seek(0)
        who, waited = lock.read().strip() or "another process", time.monotonic() - begun
        if waited >= wait_s:
            raise RegistryError(
                f"{what} is being changed on this machine by {who}, for more than {wait_s:g} s now; run the command "
                "again when it is done, or end that process"
            )
        if waited - said >= SAY_S:
            log.warning("waits for %s, which %s is changing (at most %g s)", what, who, wait_s - waited)
            said = waited
        time.sleep(LOOK_S)
    lock.truncate(0)
    lock.write(f"process {os.getpid()} ({Path(sys.argv[0]).stem} {' '.join(sys.argv[1:3])}".strip() + ")")
    lock.flush()


def _waited(file: Path, act: Callable[[sqlite3.Connection], str]) -> str:
    """What `act` says of the open file, once nobody else holds it."""
    begun, said = time.monotonic(), False
    while True:
        try:
            with closing(_opened(file)) as connection:
                return act(connection)
        except sqlite3.DatabaseError as error:
            sentence = sentence_of(str(error))
            if sentence is None:
                raise RegistryError(f"the registry {file} cannot be used ({error})") from None
            if not any(word in str(error) for word in LOCKED) or time.monotonic() - begun >= FILE_WAIT_S:
                raise RegistryError(sentence) from None
        if not said:
            log.warning("waits at most %g s for the registry %s, which %s holds", FILE_WAIT_S, file, _holders(file))
            said = True
        time.sleep(LOOK_S)


def _opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(file))}?mode=rw", uri=True, timeout=0, isolation_level=None)


def _revision(connection: sqlite3.Connection) -> str:
    """The revision of its tables, empty where MLflow has made none yet."""
    if not connection.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone():
        return ""
    row = connection.execute("select version_num from alembic_version").fetchone()
    return row[0] if row else ""


def _lock_once(connection: sqlite3.Connection) -> str:
    connection.execute("begin immediate")
    connection.execute("rollback")
    return ""


def _held(file: Path) -> str:
    return (
        f"the registry {file} is held by {_holders(file)}, and was not free within {FILE_WAIT_S:g} s: run the command "
        "again when it is done, or end that process"
    )


def _holders(file: Path) -> str:
    """The processes that hold a lock on the file, as the kernel knows them (Linux)."""
    inode = str(file.stat().st_ino)
    try:
        rows = [line.replace("->", "").split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return "another process"
    found = sorted({int(row[4]) for row in rows if row[5].split(":")[-1] == inode} - {os.getpid()})
    return " and ".join(_process(number) for number in found if number > 0) or "another process"


def _process(number: int) -> str:
    with suppress(OSError):
        program, *words = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace").split("\0")
        return f"process {number} ({' '.join(' '.join([Path(program).name, *words[:3]]).split())[:60]})"
    return f"process {number}"


def _make(file: Path) -> None:
    """With all its tables, or not at all: MLflow cannot go on with a file that a kill has left half made."""
    if file.exists():
        return
    with _only_maker():
        if file.exists():
            return
        with atomic_file(file) as partial:
            partial.unlink()
            mlflow_module().MlflowClient(f"sqlite:///{partial}").search_experiments()


def _migrate(file: Path, revision: str) -> None:
    """To the tables of the MLflow that is installed. Raises RegistryError where the file is of a newer one."""
    if not revision:
        return
    known = _revisions()
    if revision == known[0]:
        return
    if revision not in known:
        raise RegistryError(
            f"the registry {file} was written by a newer MLflow (its tables are of revision {revision}): install that "
            "version, `pip install -c constraints.txt` of the checkout that wrote it"
        )
    with _only_maker():
        if _waited(file, _revision) == known[0]:
            return
        kept = _back_up(file)
        log.warning("the registry %s is of an older MLflow: it is brought up to date; %s is a copy of it", file, kept)
        command = [sys.executable, "-m", "mlflow", "db", "upgrade", mlflow_uri()]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        why = reason(answer.stderr.splitlines())
        raise RegistryError(f"the registry {file} cannot be brought up to date ({why}); its copy is {kept}")


def _revisions() -> list[str]:
    """MLflow's revisions of its tables, newest first."""
    import mlflow
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store/db_migrations"))
    return [script.revision for script in scripts.walk_revisions()]


@contextmanager
def _only_maker() -> Generator[None]:
    with (lookout_home() / "store.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _back_up(file: Path) -> Path:
    """A copy by sqlite's own backup, the newest of KEPT_BACKUPS; the one that is there where nothing changed since.

    A file that does not pass sqlite's check takes no good backup's place. Raises RegistryError then.
    """
    kept = backups(file)
    if kept and kept[-1].stat().st_mtime_ns >= file.stat().st_mtime_ns:
        return kept[-1]
    target = file.with_name(f"{file.name}{BACKUP}{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    end = time.monotonic() + FILE_WAIT_S

    def bounded(status: int, _left: int, _pages: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > end:
            raise RegistryError(_held(file))

    try:
        with atomic_file(target) as partial, closing(_opened(file)) as source, closing(_opened(partial)) as copy:
            source.backup(copy, progress=bounded)
            broken = copy.execute("pragma quick_check(1)").fetchone()[0]
            if broken != "ok":
                raise RegistryError(damaged(file, " ".join(broken.split()).removeprefix("*** in database main *** ")))
    except sqlite3.DatabaseError as error:
        raise RegistryError(
            sentence_of(str(error)) or f"no backup of the registry {file} can be made ({error})"
        ) from None
    for old in backups(file)[:-KEPT_BACKUPS]:
        old.unlink(missing_ok=True)
    return target
