"""Where a download's annotations are looked for: what is found, and what is said where something is missing."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from components.datasets.layouts import find_annotations
from components.errors import SourceError
from components.sources.plain_pickle import read_plain_pickle
from tests.support.layouts import TASK_LAYOUTS

BOTH = ("train", "test")


def refusal(kind: str, root: Path, splits: tuple[str, ...] = BOTH) -> str:
    with pytest.raises(SourceError) as caught:
        find_annotations(kind, root, splits)
    return str(caught.value)


def test_the_shards_of_a_split_are_one_split_and_other_files_are_a_choice(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        (tmp_path / f"data/{name}.parquet").touch()
    found = find_annotations("pixmo_count", tmp_path, ("train", "val", "test"))
    assert found["train"] == ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]
    assert found["test"] == "data/test-00000-of-00001.parquet"
    assert "val" not in found
    (tmp_path / "data/train-old.parquet").touch()
    assert "could all be the train annotations; choose with --split train=FILE" in refusal("pixmo_count", tmp_path)


def test_a_format_without_a_training_split_says_to_evaluate_on_it(tmp_path: Path) -> None:
    TASK_LAYOUTS["fox"](tmp_path)
    assert refusal("fox", tmp_path) == (
        "fox has no train annotations (for evaluation, non-commercial): add it with --role eval"
    )


def test_refcoco_names_what_it_lacks(tmp_path: Path) -> None:
    TASK_LAYOUTS["refcoco"](tmp_path)
    refs = [ref for ref in read_plain_pickle(tmp_path / "refs(unc).p") if ref["split"] == "val"]
    (tmp_path / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    assert find_annotations("refcoco", tmp_path, ("test",)) == {"test": ["refs(unc).p#val"]}
    assert "refs(unc).p has the splits val, for train want train; choose with --split" in refusal("refcoco", tmp_path)
    (tmp_path / "refs(unc).p").unlink()
    assert "looked for refs(unc).p or refs(umd).p or *.parquet" in refusal("refcoco", tmp_path)
    assert "(rule refcocog-google: refs(google).p is not taken)" in refusal("refcoco", tmp_path)
    shutil.copy(tmp_path / "refs(google).p", tmp_path / "refs(umd).p")
    (tmp_path / "instances.json").unlink()
    assert "instances.json is not there: the raw COCO annotations" in refusal("refcoco", tmp_path)
