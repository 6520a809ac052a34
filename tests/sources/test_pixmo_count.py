"""PixMo-Count: both spellings of points, what is refused by file and row, the drawn twin, leakage by the same file."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.errors import QualityError, SourceError
from components.params.datasets import DatasetParams
from components.params.whole import load_params
from components.sources import ingest
from components.sources.pixmo_count import read
from components.sources.source import Note, RawScene
from components.stages import synthesize, validate
from components.store.schemas.ingested import ASKS, SCENES
from components.store.schemas.validated import QUARANTINE
from components.store.tables import read_rows
from tests.support.layouts import picture
from tests.support.toys import synthetic

ANNOTATIONS = {"train": "data/train-*.parquet", "val": "data/validation-*.parquet", "test": "data/test-*.parquet"}


def put_image(root: Path, seed: int) -> str:
    """An image under its own digest."""
    picture(root / "images/new.png", seed)
    digest = hashlib.sha256((root / "images/new.png").read_bytes()).hexdigest()
    (root / "images/new.png").rename(root / f"images/{digest}.png")
    return digest


def row(digest: str, places: Any, **more: Any) -> dict[str, Any]:
    count = len(places) if isinstance(places, list) else 3
    return {
        "image_url": "http://x.invalid",
        "image_sha256": digest,
        "count": count,
        "label": "cats",
        "points": places,
    } | more


def write(root: Path, rows: list[dict[str, Any]], name: str = "train-0") -> Path:
    path = root / f"data/{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def found(root: Path, rows: list[dict[str, Any]]) -> list[RawScene | Note]:
    return list(read(root, write(root, rows)))


PAIRS = [{"x": 1.0, "y": 2.0}, {"x": 30.5, "y": 40.0}]


def test_both_spellings_of_points_read_the_same(tmp_path: Path) -> None:
    digest = put_image(tmp_path, 1)
    listed = found(tmp_path, [row(digest, PAIRS)])
    columns = found(tmp_path, [row(digest, {"x": [1.0, 30.5], "y": [2.0, 40.0]}, count=2)])
    for scenes in (listed, columns):
        (scene,) = scenes
        assert isinstance(scene, RawScene)
        assert (scene.image_path, scene.stated_sha256) == (f"images/{digest}.png", digest)
        assert scene.scene_id == f"train-0/{digest}"
        assert (scene.asks[0].phrase, scene.asks[0].count, scene.asks[0].points) == (
            "cats",
            2,
            ((1.0, 2.0), (30.5, 40.0)),
        )


def test_an_image_may_be_asked_twice_and_the_evaluation_splits_have_no_points(tmp_path: Path) -> None:
    digest = put_image(tmp_path, 1)
    nothing = row(digest, None) | {"count": 7, "label": " dogs "}
    (scene,) = found(tmp_path, [row(digest, PAIRS), nothing, row(digest, []) | {"count": 4, "label": "birds"}])
    assert isinstance(scene, RawScene)
    assert [(ask.phrase, ask.count, ask.points is None) for ask in scene.asks] == [
        ("cats", 2, False), ("dogs", 7, True), ("birds", 4, True),
    ]  # fmt: skip


def test_a_row_whose_image_was_not_fetched_is_noted(tmp_path: Path) -> None:
    digest = put_image(tmp_path, 1)
    note, scene = found(tmp_path, [row("0" * 64, PAIRS), row(digest, PAIRS)])
    assert isinstance(note, Note)
    assert note.where.endswith("train-0.parquet: row 0")
    assert "not fetched" in note.reason
    assert isinstance(scene, RawScene)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (row("xyz", PAIRS), "row 1: image_sha256 is 'xyz', want 64 hexadecimal digits"),
        (row("../../../etc/passwd", PAIRS), "want 64 hexadecimal digits"),
        (row("0" * 64, PAIRS, count=-1), "row 1: count is -1"),
        (row("0" * 64, PAIRS, count=3), "row 1: 2 points for a count of 3"),
        (row("0" * 64, PAIRS, label="  "), "row 1: label is '  '"),
        (row("0" * 64, [{"x": 1.0, "y": float("nan")}, PAIRS[0]]), "row 1: points are"),
        (row("0" * 64, [{"x": 1.0, "y": 1e300}, PAIRS[0]]), "row 1: points are .* below 1e9"),
        (row("0" * 64, [{"x": 1.0}, PAIRS[0]]), "row 1: points are"),
    ],
)
def test_a_bad_row_is_one_sentence(tmp_path: Path, bad: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        found(tmp_path, [row("1" * 64, PAIRS), bad])


def test_a_file_that_is_no_parquet_or_lacks_a_column_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train-0.parquet").write_text("nothing")
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        list(read(tmp_path, tmp_path / "data/train-0.parquet"))
    with pytest.raises(SourceError, match="has no column count"):
        found(tmp_path, [{"image_sha256": "0" * 64, "label": "x"}])


NOT_UTF8 = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("points", [[[1.0, 2.0]]], "points are"),
        ("points", ["two"], "points are 'two'"),
        ("points", [{"x": [1.0], "y": [1.0, 2.0]}], "points are"),
        ("points", [{"x": 1.0, "y": 2.0}], "points are"),
        ("count", [1.0], "count is 1.0, want a whole number"),
        ("count", [True], "count is True, want a whole number"),
        ("count", [2**62], "count is 4611686018427387904"),
        ("image_url", [7], "image_url is 7, want text"),
        ("image_sha256", [b"\xff"], "image_sha256 is b'"),
        ("label", NOT_UTF8, "cannot be read as Parquet .*utf-8"),
    ],
)
def test_a_column_of_an_odd_type_is_one_sentence(tmp_path: Path, column: str, values: Any, sentence: str) -> None:
    good = row("0" * 64, PAIRS[:1])
    path = write(tmp_path, [good])
    pq.write_table(pa.table({key: [value] for key, value in good.items()} | {column: values}), path)
    with pytest.raises(SourceError, match=sentence):
        list(read(tmp_path, path))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 40 + b"PAR1"])
def test_an_empty_or_cut_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, [row("0" * 64, PAIRS)])
    path.write_bytes(content)
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        list(read(tmp_path, path))


def drawn(root: Path) -> DatasetParams:
    params = synthetic(root, layout="pixmo_count", people_min=0, people_median=2.0)
    synthesize.run(root, params)
    values = {"format": "pixmo_count", "task": "count", "root": str(root), "annotations": ANNOTATIONS, "role": "both"}
    return DatasetParams.model_validate(values | {"licence": "CC0-1.0"})


def validated(folder: Path, dataset: DatasetParams) -> list[dict[str, Any]]:
    params = load_params()
    ingest.run("counts", folder / "interim", dataset)
    out = folder / "validated"
    validate.run("counts", folder / "interim", out, folder / "docs", dataset, ["person"], params.validate_, params.base)
    return list(read_rows(out / "quarantine.parquet", QUARANTINE))


def test_the_drawn_twin_goes_through_the_real_reader_and_validation(tmp_path: Path) -> None:
    dataset = drawn(tmp_path / "raw")
    assert validated(tmp_path, dataset) == []
    asks = list(read_rows(tmp_path / "interim/asks.parquet", ASKS))
    assert len(asks) == 24 + 4 + 12
    assert {ask["count"] for ask in asks} <= set(range(7))
    assert all(len(ask["points"]) == ask["count"] for ask in asks)
    scenes = list(read_rows(tmp_path / "interim/scenes.parquet", SCENES))
    assert all(scene["sha256"] == scene["stated_sha256"] for scene in scenes)


def test_an_image_of_other_bytes_than_its_name_says_is_refused(tmp_path: Path) -> None:
    dataset = drawn(tmp_path / "raw")
    first, second = sorted((tmp_path / "raw/images").iterdir())[:2]
    first.write_bytes(second.read_bytes())
    with pytest.raises(QualityError, match="its bytes are not those whose SHA-256 the annotations state"):
        validated(tmp_path, dataset)


def test_a_training_image_of_the_test_split_stops_or_is_dropped_by_name(tmp_path: Path) -> None:
    dataset = drawn(tmp_path / "raw")
    data = tmp_path / "raw/data"
    train, test = (pq.read_table(next(data.glob(f"{split}-*"))) for split in ("train", "test"))
    pq.write_table(pa.concat_tables([train, test.slice(0, 2)]), next(data.glob("train-*")))
    shutil.rmtree(tmp_path / "interim", ignore_errors=True)
    with pytest.raises(QualityError, match="no image stands in two splits"):
        validated(tmp_path, dataset)
    refused = validated(tmp_path, dataset.model_copy(update={"leakage": "drop"}))
    assert [one["reason"] for one in refused] == ["rule same-file: the same file stands in test"] * 2
    assert {one["split"] for one in refused} == {"train"}
