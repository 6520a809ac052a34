"""Either the old output or the new one; a file of another version says so."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any, Literal, TypedDict

import pyarrow as pa
import pytest

from components.errors import DataError
from components.store.atomic import atomic_file, atomic_folder, canonical_json, write_json
from components.store.schemas.columns import BoxList, Float32, Float64, Int32, Int64, Message, arrow_columns
from components.store.schemas.ingested import ASKS, BOXES, NOTES, SCENES
from components.store.schemas.prompts import PROMPTS
from components.store.schemas.rollouts import ROLLOUTS
from components.store.schemas.scores import DETECTIONS, PER_IMAGE
from components.store.schemas.validated import QUARANTINE
from components.store.tables import TableSchema, open_table_writer, read_rows, read_table, write_table

ROW = {"scene_id": "a", "split": "train", "image_path": "Images/a.jpg", "reason": "missing", "annotation": "x:1"}


class Point(TypedDict):
    """A row with a column of each kind."""

    name: str
    kind: Literal["a", "b"]
    flag: bool
    raw: bytes | None
    count: Int32 | None
    size: Int64
    share: Float32
    exact: Float64
    boxes: BoxList
    words: list[str] | None
    turns: list[Message]
    scores: list[tuple[str, Float32 | None]]


class NameOnly(TypedDict):
    sample_id: str


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


def test_columns_follow_from_a_rows_annotations() -> None:
    lists = pa.list_(pa.list_(pa.float32()))
    assert arrow_columns(Point) == pa.schema(
        [
            ("name", pa.string()), ("kind", pa.string()), ("flag", pa.bool_()), ("raw", pa.binary()),
            ("count", pa.int32()), ("size", pa.int64()), ("share", pa.float32()), ("exact", pa.float64()),
            ("boxes", lists), ("words", pa.list_(pa.string())),
            ("turns", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
            ("scores", pa.map_(pa.string(), pa.float32())),
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "tag", "digest"),
    [
        (SCENES, "scenes/3", "ac284d6544ce"),
        (BOXES, "boxes/1", "a2c964b50aa7"),
        (ASKS, "asks/1", "2897039b0cd2"),
        (NOTES, "notes/1", "449f0405f8ad"),
        (QUARANTINE, "quarantine/1", "e1d5a02238cf"),
        (PROMPTS, "prompts/3", "bf3f0c51d95e"),
        (ROLLOUTS, "rollouts/1", "69b6e5b4f273"),
        (DETECTIONS, "detections/1", "4d3ba11228f8"),
        (PER_IMAGE, "per_image/3", "73e29d8909bd"),
    ],
)
def test_other_columns_need_another_version(schema: TableSchema[Any], tag: str, digest: str) -> None:
    columns = hashlib.sha256(str(arrow_columns(schema.row)).encode()).hexdigest()[:12]
    assert (schema.tag, columns) == (tag, digest), "raise the version, then write both here"


def test_rows_come_back_as_they_went(tmp_path: Path) -> None:
    write_table(tmp_path / "q.parquet", QUARANTINE, [ROW, ROW | {"scene_id": "b"}])
    assert [row["scene_id"] for row in read_rows(tmp_path / "q.parquet", QUARANTINE)] == ["a", "b"]


def test_another_schema_version_is_named(tmp_path: Path) -> None:
    old = TableSchema("prompts", 0, NameOnly)
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
