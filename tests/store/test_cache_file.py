"""Caches in sqlite files: whatever happened to the file, the cache works, and many may open it at once."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from components.errors import DataError
from components.sources.image_cache import ImageCache
from components.sources.images import inspect_image
from components.store.cache_file import open_cache

SCHEMA = "create table if not exists thing (name text primary key)"


def filled(file: Path, rows: int = 2000) -> bytes:
    with closing(open_cache(file, SCHEMA, 1)) as cache, cache:
        cache.executemany("insert into thing values (?)", [(f"{number:060d}",) for number in range(rows)])
    return file.read_bytes()


def names(file: Path, version: int = 1) -> int:
    with closing(open_cache(file, SCHEMA, version)) as cache:
        return cache.execute("select count(*) from thing").fetchone()[0]


def test_what_is_kept_is_there_at_the_next_opening(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path / "a.sqlite")
    assert names(tmp_path / "a.sqlite") == 2000
    assert not caplog.records


@pytest.mark.parametrize("fault", ["garbage", "cut", "middle", "other tables", "text"])
def test_a_damaged_cache_is_made_anew_with_one_line(
    tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.sqlite"
    whole = filled(file)
    file.with_name("a.sqlite-journal").write_bytes(b"left by a kill")
    if fault == "other tables":
        file.unlink()
        with closing(sqlite3.connect(file)) as other:
            other.execute("create table thing (another text)")
    else:
        zeros = whole[:8192] + bytes(8192) + whole[16384:]
        file.write_bytes({"garbage": bytes(range(256)) * 40, "cut": whole[:9000], "middle": zeros, "text": b"x"}[fault])
    with caplog.at_level(logging.WARNING):
        assert names(file) == 0
    (record,) = caplog.records
    assert f"the cache {file} is made anew" in record.getMessage()
    filled(file, 3)
    assert names(file) == 3


def test_tables_of_another_version_are_made_anew(tmp_path: Path) -> None:
    filled(tmp_path / "a.sqlite")
    assert names(tmp_path / "a.sqlite", version=2) == 0


def test_a_cache_that_another_holds_is_not_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.sqlite"
    filled(file)
    monkeypatch.setattr("components.store.cache_file.WAIT_S", 0.1)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("begin exclusive")
        with pytest.raises(DataError, match=r"cannot be opened for writing \(database is locked\)"):
            names(file)
    assert names(file) == 2000


def test_six_that_open_a_broken_cache_at_once_all_work(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    file.write_bytes(b"garbage" * 1000)
    code = (
        "import sys; from pathlib import Path; from components.store.cache_file import open_cache\n"
        f"cache = open_cache(Path({str(file)!r}), {SCHEMA!r}, 1)\n"
        "with cache: cache.execute('insert or ignore into thing values (?)', ('one',))\n"
        "with cache: cache.execute('insert into thing values (?)', (sys.argv[1],))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(number)]) for number in range(6)]
    assert [one.wait(60) for one in running] == [0] * 6
    assert names(file) == 7


def test_a_damaged_cache_of_images_is_only_a_second_look(tmp_path: Path) -> None:
    from PIL import Image

    picture, file = tmp_path / "a.png", tmp_path / "images.sqlite"
    Image.new("RGB", (30, 20)).save(picture)
    for content in (None, b"garbage" * 999):
        if content:
            file.write_bytes(content)
        with ImageCache(file) as cache:
            (facts,) = cache.facts([picture], lambda paths: [inspect_image(path) for path in paths])
        assert facts == inspect_image(picture)
