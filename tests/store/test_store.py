"""Either the old output or the new one; a file of another version says so."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pyarrow as pa
import pytest

from components.errors import DataError
from components.store.atomic import atomic_file, atomic_folder, canonical_json, write_json
from components.store.schemas.prompts import PROMPTS
from components.store.schemas.validated import QUARANTINE
from components.store.tables import TableSchema, open_table_writer, read_rows, read_table, write_table

ROW = {"scene_id": "a", "split": "train", "image_path": "Images/a.jpg", "reason": "missing", "annotation": "x:1"}


def full_disk() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "table.parquet"
    write_table(target, QUARANTINE, [ROW])
    before = target.read_bytes()
    with pytest.raises(OSError, match="No space left"), open_table_writer(target, QUARANTINE) as writer:
        writer.write([ROW | {"scene_id": "b"}])
        raise full_disk()
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["table.parquet"]


def test_a_really_full_disk_is_an_error_and_not_a_short_file() -> None:
    with pytest.raises(OSError, match="No space left"), Path("/dev/full").open("w") as file:
        file.write("x" * 100_000)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a checkout that stages write their models to."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models"


def test_a_failure_leaves_the_old_folder_whole(models: Path) -> None:
    with atomic_folder(models / "out") as folder:
        (folder / "a").write_text("old")
    with pytest.raises(OSError, match="No space left"), atomic_folder(models / "out") as folder:
        (folder / "a").write_text("new")
        raise full_disk()
    assert (models / "out" / "a").read_text() == "old"
    assert [path.name for path in models.iterdir()] == ["out"]


def test_a_folder_is_replaced_as_a_whole(models: Path) -> None:
    for name in ("first", "second"):
        with atomic_folder(models / "out") as folder:
            (folder / name).write_text(name)
    assert [path.name for path in (models / "out").iterdir()] == ["second"]


def test_a_folder_that_no_stage_made_is_not_replaced(tmp_path: Path, models: Path) -> None:
    kept = tmp_path / "somebody_elses_folder"
    kept.mkdir()
    (kept / "photo.jpg").write_text("x")
    models.mkdir()
    (models / "link").symlink_to(kept)
    for target in (kept, models / "link", tmp_path, models / "../somebody_elses_folder"):
        with pytest.raises(DataError, match=r"no output of a stage|is a link or a file"), atomic_folder(target):
            raise AssertionError("it has a folder to fill")
    assert (kept / "photo.jpg").read_text() == "x"


def test_what_a_killed_writer_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".partial-a.json-dead").write_text("half")
    write_json(tmp_path / "a.json", {"x": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_reader_in_a_team_can_read_what_was_written(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "a") as partial:
        partial.write_text("x")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_json_is_spelled_one_way_and_has_no_nan() -> None:
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("nan"))


def test_rows_come_back_as_they_went(tmp_path: Path) -> None:
    write_table(tmp_path / "q.parquet", QUARANTINE, [ROW, ROW | {"scene_id": "b"}])
    assert [row["scene_id"] for row in read_rows(tmp_path / "q.parquet", QUARANTINE)] == ["a", "b"]


def test_another_schema_version_is_named(tmp_path: Path) -> None:
    old = TableSchema("prompts", 0, pa.schema([("sample_id", pa.string())]))
    write_table(tmp_path / "test.parquet", old, [{"sample_id": "x"}])
    with pytest.raises(DataError, match=r"test\.parquet has schema prompts/0, this version of Lookout reads prompts/3"):
        read_table(tmp_path / "test.parquet", PROMPTS)


def test_a_missing_and_a_broken_table_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there: the stage that writes it has not run"):
        read_table(tmp_path / "none.parquet", PROMPTS)
    (tmp_path / "broken.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table(tmp_path / "broken.parquet", PROMPTS)


@pytest.mark.parametrize("at", [0.05, 0.2, 0.4, 0.6, 0.8, 0.9])
def test_a_table_damaged_in_the_middle_is_named(tmp_path: Path, at: float) -> None:
    path = tmp_path / "q.parquet"
    write_table(path, QUARANTINE, [ROW | {"annotation": os.urandom(60).hex()} for _ in range(800)])
    content = bytearray(path.read_bytes())
    place = int(len(content) * at)
    content[place : place + 200] = bytes(200)
    path.write_bytes(content)
    for read in (lambda: read_table(path, QUARANTINE), lambda: list(read_rows(path, QUARANTINE))):
        with pytest.raises(DataError, match=r"q\.parquet is not a readable Parquet file \(.+\); it is cut or damaged"):
            read()
