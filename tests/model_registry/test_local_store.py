"""The registry's sqlite file: held, damaged, cut, older or newer, it is one sentence that says what to do."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from components.errors import RegistryError
from components.model_registry import local_store
from components.model_registry.local_store import backups, ready_store, ready_to_write, sentence_of, wait_for


@pytest.fixture
def file(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with one big table, of the newest tables; nobody waits for long."""
    own_home.mkdir()
    monkeypatch.setattr(local_store, "_revisions", lambda: ["newest", "older"])
    monkeypatch.setattr(local_store, "FILE_WAIT_S", 0.5)
    path = own_home / "mlflow.db"
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("create table alembic_version (version_num text)")
        store.execute("insert into alembic_version values ('newest')")
        store.execute("create table runs (name text)")
        store.executemany("insert into runs values (?)", [(f"{number:0500d}",) for number in range(200)])
    return path.resolve()


@contextmanager
def held(path: Path, seconds: float) -> Iterator[int]:
    """Another process has the file; its number."""
    code = (
        "import sqlite3, sys, time; one = sqlite3.connect(sys.argv[1]); one.execute('begin exclusive')\n"
        "print('held', flush=True); time.sleep(float(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("act", [ready_store, ready_to_write])
def test_a_held_store_is_waited_for_and_then_named_with_its_holder(
    file: Path, act: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(act)
    held_by = r"is held by process \d+ \(python.* end that process"
    with held(file, 60) as number, caplog.at_level(logging.WARNING), pytest.raises(RegistryError, match=held_by):
        act()
    (record,) = caplog.records
    assert f"waits at most 0.5 s for the registry {file}, which process {number} (python" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_a_store_that_is_freed_in_time_is_used(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_store, "FILE_WAIT_S", 60.0)
    with held(file, 1):
        ready_store()
        ready_to_write()
    assert len(backups(file)) == 1


@pytest.mark.parametrize("fault", ["garbage", "cut", "empty", "text"])
def test_the_sentence_for_a_damaged_store_mends_it_when_it_is_followed(file: Path, fault: str) -> None:
    ready_to_write()
    whole = file.read_bytes()
    file.write_bytes({"garbage": bytes(range(256)) * 99, "cut": whole[:9000], "empty": b"", "text": b"x" * 50}[fault])
    with pytest.raises(RegistryError, match=r"mlflow\.db is damaged \(.*`lookout register`") as caught:
        ready_store()
    assert "\n" not in str(caught.value)
    for command in re.findall(r"`((?:mv|cp) [^`]+)`", str(caught.value)):
        subprocess.run(shlex.split(command), check=True)
    ready_store()
    with closing(sqlite3.connect(file)) as store:
        assert store.execute("select count(*) from runs").fetchone() == (200,)


def test_without_a_backup_the_sentence_says_so(file: Path) -> None:
    file.write_bytes(b"garbage" * 999)
    with pytest.raises(
        RegistryError, match=r"run `lookout register`, which .* from what DVC holds; there is no backup"
    ):
        ready_store()


def test_a_store_damaged_in_its_middle_takes_no_good_backups_place(file: Path) -> None:
    ready_to_write()
    (good,) = backups(file)
    whole = file.read_bytes()
    file.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])
    with pytest.raises(RegistryError, match=r"is damaged .*put the newest backup there"):
        ready_to_write()
    assert backups(file) == [good]
    assert not list(file.parent.glob(".partial-*"))


def test_a_few_backups_are_kept_and_none_is_made_where_nothing_changed(file: Path) -> None:
    for number in range(local_store.KEPT_BACKUPS + 2):
        with closing(sqlite3.connect(file)) as store, store:
            store.execute("insert into runs values (?)", (f"change {number}",))
        ready_to_write()
        kept = backups(file)
        ready_to_write()
        assert backups(file) == kept
    assert len(kept) == local_store.KEPT_BACKUPS
    with closing(sqlite3.connect(kept[-1])) as store:
        assert store.execute("select count(*) from runs").fetchone() == (200 + local_store.KEPT_BACKUPS + 2,)


def test_tables_of_a_newer_mlflow_are_left_alone(file: Path) -> None:
    with closing(sqlite3.connect(file)) as store, store:
        store.execute("update alembic_version set version_num = 'from the future'")
    with pytest.raises(RegistryError, match=r"written by a newer MLflow .*revision from the future"):
        ready_store()


@pytest.mark.slow
def test_tables_of_an_older_mlflow_are_brought_up_to_date_with_a_backup(
    empty_stores: Path, own_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own_home.mkdir()
    file = own_home.resolve() / "mlflow.db"
    shutil.copy(empty_stores / "mlflow.db", file)
    revisions = local_store._revisions()
    downgrade = (
        "from alembic import command; import sys; from mlflow.store.db.utils import _get_alembic_config\n"
        "command.downgrade(_get_alembic_config(f'sqlite:///{sys.argv[1]}'), sys.argv[2])"
    )
    older = next(one for one in revisions[1:] if _downgraded(downgrade, file, one))
    with caplog.at_level(logging.WARNING):
        ready_store()
    ready_store()
    with closing(sqlite3.connect(file)) as store, closing(sqlite3.connect(backups(file)[-1])) as copy:
        ends = [one.execute("select version_num from alembic_version").fetchone()[0] for one in (copy, store)]
    assert ends == [older, revisions[0]]
    assert [record.getMessage().count("is of an older MLflow") for record in caplog.records] == [1]


def _downgraded(code: str, file: Path, revision: str) -> bool:
    answer = subprocess.run([sys.executable, "-c", code, str(file), revision], capture_output=True, check=False)
    return answer.returncode == 0


def test_a_server_and_another_database_have_no_file_of_ours(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    for uri in ("http://127.0.0.1:5000", "postgresql://lookout@127.0.0.1/mlflow"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        ready_store()
        ready_to_write()
        assert sentence_of("database is locked") is None
    assert not own_home.exists()


def test_a_lock_of_ours_is_waited_for_and_its_holder_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "registry.lock"
    with path.open("a+") as first, path.open("a+") as second, caplog.at_level(logging.WARNING):
        wait_for(first, 0, "the registry")
        who = rf"process {os.getpid()} \(.+\)"
        with pytest.raises(RegistryError, match=f"the registry is being changed on this machine by {who}, for more"):
            wait_for(second, 0.3, "the registry")
        assert len(caplog.records) == 1
        assert re.search(f"waits for the registry, which {who} is changing", caplog.text)
        threading.Timer(0.4, lambda: fcntl.flock(first, fcntl.LOCK_UN)).start()
        wait_for(second, 30, "the registry")
