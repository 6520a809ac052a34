"""RefCOCO: pickle and Parquet, a pickle that attacks, a bbox in the wrong convention, leakage."""

from __future__ import annotations

import json
import os
import pickle
import resource
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.errors import QualityError, SourceError
from components.params.datasets import DatasetParams
from components.params.whole import load_params
from components.prompting.leakage import HeldOut, check_leaks
from components.sources import ingest
from components.sources.plain_pickle import read_plain_pickle
from components.sources.refcoco import read
from components.sources.source import RawScene
from components.stages import validate
from components.store.schemas.ingested import ASKS, BOXES
from components.store.tables import read_rows, read_table
from tests.support.layouts import SIZE, picture

SPLITS = {"train": 4, "val": 2, "testA": 2}


def refs() -> list[dict[str, Any]]:
    rows = []
    for place, split in enumerate(name for name, count in SPLITS.items() for _ in range(count)):
        for which in range(2):
            sentences = [{"sent": f"person {which} of {place}", "raw": "x", "tokens": ["x"], "sent_id": 0},
                         {"sent": " the  left one ", "raw": "x", "tokens": ["x"], "sent_id": 1}]  # fmt: skip
            rows.append(
                {"ref_id": 10 * place + which, "ann_id": 100 + 2 * place + which, "image_id": 1000 + place,
                 "category_id": 1, "split": split, "sentences": sentences[: 2 - which],
                 "file_name": f"COCO_train2014_{1000 + place:012d}_{which}.jpg"}
            )  # fmt: skip
    return rows


def layout(root: Path, pictures: bool = True) -> DatasetParams:
    """The published layout: refs(unc).p in protocol 2, as Python 2 wrote it, beside instances.json."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "refs(unc).p").write_bytes(pickle.dumps(refs(), protocol=2))
    images, annotations = [], []
    for place in range(sum(SPLITS.values())):
        name = f"COCO_train2014_{1000 + place:012d}.jpg"
        if pictures:
            picture(root / "train2014" / name, place)
        images.append({"id": 1000 + place, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        for which in range(2):
            box = [4.0 + 30 * which, 5.0, 20.5, 30.0]
            annotations.append({"id": 100 + 2 * place + which, "image_id": 1000 + place, "bbox": box, "category_id": 1})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (root / "instances.json").write_text(json.dumps(content))
    values = {"format": "refcoco", "task": "ground", "root": str(root), "role": "both", "licence": "x",
              "annotations": {"train": "refs(unc).p#train", "val": "refs(unc).p#val", "test": "refs(unc).p#testA"},
              "labels": ["object"], "classes": {"*": "object"}}  # fmt: skip
    return DatasetParams.model_validate(values)


def scenes(root: Path, name: str = "refs(unc).p#train") -> list[RawScene]:
    return list(read(root, root / name))


def test_an_image_has_its_boxes_once_and_a_question_a_sentence(tmp_path: Path) -> None:
    layout(tmp_path, pictures=False)
    found = scenes(tmp_path)
    assert len(found) == 4
    assert (found[0].scene_id, found[0].image_path) == ("train/1000", "train2014/COCO_train2014_000000001000.jpg")
    assert [box.full for box in found[0].boxes] == [(4, 5, 24.5, 35), (34, 5, 54.5, 35)]
    assert [(ask.phrase, ask.box_index) for ask in found[0].asks] == [
        ("person 0 of 0", 0), ("the left one", 0), ("person 1 of 0", 1),
    ]  # fmt: skip


def as_parquet(root: Path, convention: str) -> None:
    rows = refs()
    for row in rows:
        x, y, width, height = 4.0 + 30 * (row["ann_id"] % 2), 5.0, 20.5, 30.0
        row["bbox"] = [x, y, x + width, y + height] if convention == "xyxy" else [x, y, width, height]
    pq.write_table(pa.Table.from_pylist(rows), root / "refs.parquet")


def test_parquet_reads_as_the_pickle_does(tmp_path: Path) -> None:
    layout(tmp_path, pictures=False)
    as_parquet(tmp_path, "xyxy")
    strip = [(one.scene_id, one.boxes, [ask.phrase for ask in one.asks]) for one in scenes(tmp_path)]
    found = [
        (one.scene_id, one.boxes, [ask.phrase for ask in one.asks]) for one in scenes(tmp_path, "refs.parquet#train")
    ]
    assert found == strip


def test_a_bbox_column_in_the_wrong_convention_is_caught(tmp_path: Path) -> None:
    layout(tmp_path, pictures=False)
    as_parquet(tmp_path, "xywh")
    with pytest.raises(
        SourceError, match=r"ref 0: bbox is \[4.0, 5.0, 20.5, 30.0\], the raw annotation's .*: it is x y w h"
    ):
        scenes(tmp_path, "refs.parquet#train")


class Attack:
    """What a hostile pickle does when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_attacks_is_refused_by_name_and_nothing_of_it_runs(tmp_path: Path, protocol: int) -> None:
    layout(tmp_path, pictures=False)
    touched = tmp_path / "touched"
    (tmp_path / "refs(unc).p").write_bytes(pickle.dumps([*refs(), Attack(touched)], protocol=protocol))
    with pytest.raises(SourceError, match=r"asks for (posix|nt)\.system, which is no plain container"):
        scenes(tmp_path)
    assert not touched.exists()


@pytest.mark.parametrize(
    "content",
    [b"cbuiltins\neval\n(S'1'\ntR.", b"cos\nsystem\n(S'true'\ntR.", b"c__builtin__\ngetattr\n.", b"Pid\n.",
     b"cfunctools\npartial\n.", b"ccomponents.errors\nSourceError\n."],
)  # fmt: skip
def test_no_other_name_is_let_in(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.p").write_bytes(content)
    with pytest.raises(SourceError, match="is refused, nothing of it was run"):
        read_plain_pickle(tmp_path / "x.p")


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"nonsense", b"(lp0\n", pickle.dumps([1, 2])[:-3], b"\x80\x04\x95" + b"\xff" * 8]
)
def test_a_damaged_pickle_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.p").write_bytes(content)
    with pytest.raises(SourceError, match="cannot be read as a pickle"):
        read_plain_pickle(tmp_path / "x.p")


def test_plain_containers_are_let_in(tmp_path: Path) -> None:
    content = [{1, 2}, frozenset({3}), OrderedDict(a=1), ("x", 1.5, None, True), {"ü": "z"}]
    (tmp_path / "x.p").write_bytes(pickle.dumps(content, protocol=2))
    assert read_plain_pickle(tmp_path / "x.p") == content


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("refs(google).p#train", "rule refcocog-google: its splits share images"),
        ("refs(unc).p", "want a file and its split"),
        ("refs(unc).p#testC", "no reference is of the split 'testC'"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str, sentence: str) -> None:
    layout(tmp_path, pictures=False)
    with pytest.raises(SourceError, match=sentence):
        scenes(tmp_path, name)


def test_a_reference_to_another_files_annotation_is_named(tmp_path: Path) -> None:
    layout(tmp_path, pictures=False)
    rows = refs()
    rows[0]["ann_id"] = 9
    (tmp_path / "refs(unc).p").write_bytes(pickle.dumps(rows, protocol=2))
    with pytest.raises(SourceError, match=r"ref 0: instances\.json has no image 1000 with annotation 9"):
        scenes(tmp_path)


def test_it_goes_through_ingest_and_validation(tmp_path: Path) -> None:
    dataset = layout(tmp_path / "raw")
    ingest.run("refs", tmp_path / "interim", dataset)
    assert len(list(read_rows(tmp_path / "interim/asks.parquet", ASKS))) == 8 * 3
    assert set(read_table(tmp_path / "interim/boxes.parquet", BOXES)["label"].to_pylist()) == {"person"}
    params = load_params()
    check = params.validate_.model_copy(update={"near_duplicate_bits": None})
    folders = (tmp_path / "interim", tmp_path / "validated", tmp_path / "docs")
    validate.run("refs", *folders, dataset, ["object"], check, params.base)
    counts = json.loads((tmp_path / "validated/validation.json").read_text())["counts"]
    assert (counts["questions"], counts["things"]) == (24, 16)


def scene(path: str, sha256: str) -> dict[str, Any]:
    return {"image_path": path, "sha256": sha256}


def test_held_out_images_are_found_by_rule_across_datasets() -> None:
    held = HeldOut(
        {
            "refs": [scene("train2014/COCO_train2014_000000000042.jpg", "a")],
            "other": [scene("x/000000000043.jpg", "b")],
        },
        {"refs": "refcoco", "other": "coco"},
    )
    assert held.rule(scene("train2017/000000000042.jpg", "c")) == "refcoco-held-out"
    assert held.rule(scene("train2017/000000000043.jpg", "c")) is None  # COCO's own test images are nobody's but COCO's
    assert held.rule(scene("anything.png", "b")) == "same-file"
    assert held.rule(scene("train2017/100000000042.jpg", "c")) is None
    from collections import Counter

    check_leaks("coco", Counter({"refcoco-held-out": 3}), drop=True)
    with pytest.raises(
        QualityError, match=r"datasets\.coco: training images are held out .*refcoco-held-out 3, by rule"
    ):
        check_leaks("coco", Counter({"refcoco-held-out": 3}), drop=False)


HUGE = 10**5000
NESTED: list[Any] = []
for _ in range(40):
    NESTED = [NESTED] * 10  # written out it would have 10 ** 40 brackets


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_id": [1]}, r"ref 0: image_id is \[1\] and ann_id 100, want two whole numbers"),
        ({"ann_id": HUGE}, "ref 0: image_id is 1000 and ann_id a huge int, want two whole numbers"),
        ({"ann_id": 1000.0}, "want two whole numbers"),
        ({"ann_id": 102}, r"ref 0: instances\.json has no image 1000 with annotation 102"),  # another image's
        ({"ref_id": NESTED, "ann_id": None}, r"ref \[0\]: image_id is 1000 and ann_id None"),
        ({"sentences": NESTED}, r"ref 0: a sentence is \[\[\["),
        ({"sentences": "one"}, "ref 0: has no sentences, got 'one'; want a list of them"),
        ({"sentences": [{"sent": "half \ud800"}]}, r"ref 0: 'half \\ud800' holds U\+D800, half of a character"),
        ({"bbox": "[1,"}, "ref 0: bbox: got None, want four numbers"),
        ({"bbox": [1, 2, 3, HUGE]}, r"ref 0: bbox: got .*, want finite numbers below 1e9"),
        ({"bbox": [float("nan")] * 4}, "want finite numbers below 1e9"),
        ({"bbox": {"x": 1}}, r"ref 0: bbox: got \{'x': 1\}, want four numbers"),
    ],
)  # fmt: skip
def test_an_odd_reference_is_one_sentence(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    layout(tmp_path, pictures=False)
    rows = refs()
    rows[0] |= change
    (tmp_path / "refs(unc).p").write_bytes(pickle.dumps(rows, protocol=4))
    with pytest.raises(SourceError, match=sentence):
        scenes(tmp_path)


@pytest.mark.parametrize("content", [{"a": 1}, "text", 3, None, [[1]], NESTED])
def test_a_pickle_of_something_else_is_one_sentence(tmp_path: Path, content: Any) -> None:
    layout(tmp_path, pictures=False)
    (tmp_path / "refs(unc).p").write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(SourceError, match=r"want a (list of references|mapping)"):
        scenes(tmp_path)


def test_a_list_that_holds_itself_is_one_sentence(tmp_path: Path) -> None:
    layout(tmp_path, pictures=False)
    loop: list[Any] = []
    loop.append(loop)
    (tmp_path / "refs(unc).p").write_bytes(pickle.dumps(loop, protocol=2))
    with pytest.raises(SourceError, match="reference 0 is list, want a mapping"):
        scenes(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02]r" + (2**30).to_bytes(4, "little") + b".",  # a place in the memo
        b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"x.",  # bytes
        b"\x80\x02cbuiltins\nbytearray\n(J" + (2**31 - 1).to_bytes(4, "little") + b"tR.",
    ],
)
def test_a_pickle_that_claims_huge_sizes_gets_no_memory_for_them(tmp_path: Path, content: bytes) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    (tmp_path / "x.p").write_bytes(content)
    with pytest.raises(SourceError, match=r"asks for more memory than \d+ bytes can fill"):
        read_plain_pickle(tmp_path / "x.p")
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.parametrize(
    ("section", "entry", "sentence"),
    [
        ("annotations", {"id": 5}, r"annotations\[0\]: want an object with id and image_id"),
        ("annotations", {"id": 5, "image_id": 1000, "bbox": [1, 2, 3]}, "annotation 5: got .* want four numbers"),
        ("annotations", 3, r"annotations\[0\]: want an object with id and image_id, got 3"),
        ("images", {"id": 1000, "width": 64}, "image 1000: want width and height in pixels"),
        ("images", {"id": 1000, "width": 64, "height": 48}, "image 1000: has neither file_name nor coco_url"),
        ("categories", {"id": 1}, r"categories\[0\]: want an object with id and name"),
    ],
)
def test_damaged_instances_are_one_sentence(tmp_path: Path, section: str, entry: Any, sentence: str) -> None:
    layout(tmp_path, pictures=False)
    content = json.loads((tmp_path / "instances.json").read_text())
    content[section] = [entry, *content[section]] if section == "categories" else [entry, *content[section][1:]]
    (tmp_path / "instances.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match=sentence):
        scenes(tmp_path)


def test_parquet_without_a_needed_column_is_one_sentence(tmp_path: Path) -> None:
    layout(tmp_path, pictures=False)
    as_parquet(tmp_path, "xyxy")
    pq.write_table(pq.read_table(tmp_path / "refs.parquet").drop_columns(["ann_id"]), tmp_path / "refs.parquet")
    with pytest.raises(SourceError, match=r"refs\.parquet: has no column ann_id; it has ref_id, image_id"):
        scenes(tmp_path, "refs.parquet#train")
