"""Every format in its true layout: what goes in comes out, odd rows are named, damage is one sentence."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.errors import SourceError
from components.params.datasets import DatasetParams
from components.sources import SOURCES, ingest
from components.sources.citypersons import read as read_citypersons
from components.sources.image_cache import ImageCache
from components.sources.images import ImageFacts
from components.sources.reading import annotation_paths
from components.sources.source import Note, RawScene, ReadOptions
from components.store.schemas.ingested import BOXES, SCENES
from components.store.tables import read_table
from tests.support.layouts import LAYOUTS, SIZE, SPLITS, people

FRAMES = {"train": 6, "val": 3, "test": 3}


def rows_of(dataset: DatasetParams, split: str = "train") -> list[RawScene | Note]:
    root = Path(dataset.root)
    options = ReadOptions(dataset.image_folder(split), dataset.rows_without_class)
    paths = annotation_paths(root, dataset, split)
    return [row for path in paths for row in SOURCES[dataset.format](root, path, options)]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_image_and_box_of_a_set_comes_through(tmp_path: Path, name: str) -> None:
    dataset = LAYOUTS[name](tmp_path / "raw")
    ingest.run(name, tmp_path / "interim", dataset)
    scenes = read_table(tmp_path / "interim/scenes.parquet", SCENES).to_pylist()
    boxes = read_table(tmp_path / "interim/boxes.parquet", BOXES).to_pylist()
    assert Counter(scene["split"] for scene in scenes) == (FRAMES if name == "uavdt" else SPLITS)
    assert {scene["image_defect"] for scene in scenes} == {None}
    stated = {(scene["stated_width_px"], scene["stated_height_px"]) for scene in scenes}
    assert stated == ({SIZE} if name in {"citypersons_json", "coco", "lvis"} else {(None, None)})
    assert any(box["ignore"] for box in boxes)
    full = [[box[key] for key in ("x1", "y1", "x2", "y2")] for box in boxes if not box["ignore"]]
    x, y, width, height = people(1)[0]
    assert [x, y, x + width, y + height] in full


@pytest.mark.parametrize("name", LAYOUTS)
def test_boxes_stand_with_the_image_that_they_belong_to(tmp_path: Path, name: str) -> None:
    scenes = [row for row in rows_of(LAYOUTS[name](tmp_path)) if isinstance(row, RawScene)]
    frames = range(1, 4) if name == "uavdt" else range(SPLITS["train"])
    for number, scene in zip([*frames, *frames], scenes, strict=False):
        empty = (name == "wider_pedestrian" and number == 0) or (name == "uavdt" and number == 3)
        found = [list(box.full) for box in scene.boxes if not box.ignore]
        wanted = [] if empty else [[x, y, x + w, y + h] for x, y, w, h in people(number)]
        assert sorted(found) == sorted(wanted), scene.scene_id
        assert (tmp_path / scene.image_path).is_file()


def test_citypersons_numbers_are_widened_before_they_are_added(tmp_path: Path) -> None:
    dataset = LAYOUTS["citypersons_mat"](tmp_path)
    scenes = [row for row in rows_of(dataset) if isinstance(row, RawScene)]
    assert all(x1 < x2 and y1 < y2 for scene in scenes for box in scene.boxes for x1, y1, x2, y2 in [box.full])
    from scipy.io import savemat

    cells = np.empty((1, 1), dtype=object)
    rows = np.array([[1, 250, 200, 100, 90, 1, 250, 200, 50, 45]], dtype=np.uint8)  # 250 + 100 overflows a byte
    cells[0, 0] = np.array(
        [[("ulm", "a_leftImg8bit.png", rows)]], dtype=[(n, "O") for n in ("cityname", "im_name", "bbs")]
    )
    savemat(tmp_path / "anno_train.mat", {"anno_train_aligned": cells})
    (scene,) = read_citypersons(tmp_path, tmp_path / "anno_train.mat")
    assert isinstance(scene, RawScene)
    assert scene.boxes[0].full == (250.0, 200.0, 350.0, 290.0)
    assert scene.boxes[0].visible == (250.0, 200.0, 300.0, 245.0)


def test_wider_rows_without_class_need_the_setting(tmp_path: Path) -> None:
    dataset = LAYOUTS["wider_pedestrian"](tmp_path)
    path = tmp_path / "train_annotations.txt"
    path.write_text("a.jpg " + " ".join(["1 2 3 4"] * 5) + "\n")
    (tmp_path / "pedestrian_ignore_part_train.txt").unlink()
    note, with_class = rows_of(dataset)
    assert isinstance(note, Note)
    assert note.reason.startswith("class 3 is neither 1 (pedestrian) nor 2 (cyclist): if the rows have no class, rows_")
    (without,) = rows_of(dataset.model_copy(update={"rows_without_class": True}))
    assert isinstance(with_class, RawScene)
    assert isinstance(without, RawScene)
    assert (len(with_class.boxes), len(without.boxes)) == (4, 5)
    path.write_text("a.jpg 1 2 3 4 5 6\n")
    with pytest.raises(SourceError, match=r"train_annotations\.txt:1: 6 numbers, want a multiple of 5"):
        rows_of(dataset)


def test_ignore_regions_of_an_unknown_image_are_named(tmp_path: Path) -> None:
    dataset = LAYOUTS["wider_pedestrian"](tmp_path)
    with (tmp_path / "pedestrian_ignore_part_train.txt").open("a") as file:
        file.write("nobody.jpg 1 2 3 4 5 6 7 8\n")
    (note,) = [row for row in rows_of(dataset) if isinstance(row, Note)]
    assert note.kind == "skipped"
    assert note.where.endswith("pedestrian_ignore_part_train.txt:7")
    assert "2 ignore regions of 'nobody.jpg'" in note.reason


def edit_coco(root: Path, change: Any) -> None:
    path = root / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_coco_rows_that_are_not_taken_as_they_stand_are_named(tmp_path: Path) -> None:
    dataset = LAYOUTS["coco"](tmp_path)

    def change(content: dict[str, Any]) -> None:
        first, second, third = content["annotations"][:3]
        first["image_id"], second["category_id"], third["ignore"] = 999, 77, 1 - third["iscrowd"]

    edit_coco(tmp_path, change)
    notes = [row for row in rows_of(dataset) if isinstance(row, Note)]
    assert [note.kind for note in notes] == ["skipped", "skipped", "altered"]
    assert "image_id 999" in notes[0].reason
    assert "category_id 77" in notes[1].reason
    assert "disagree" in notes[2].reason


def test_lvis_says_what_is_not_annotated_exhaustively(tmp_path: Path) -> None:
    notes = [row for row in rows_of(LAYOUTS["lvis"](tmp_path)) if isinstance(row, Note)]
    assert [note.reason for note in notes] == ["not every car is annotated"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["images"].append(c["images"][0]), r"images\[6\]: the id 1 stands twice"),
        (lambda c: c["images"][0].update(file_name="../x.jpg"), "leaves the folder"),
        (lambda c: c["images"][0].update(file_name="/etc/passwd"), "leaves the folder"),
        (lambda c: c["images"][0].update(width=0), "image 1: want width and height"),
        (lambda c: c["images"][0].pop("file_name"), "neither file_name nor coco_url"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), "want four numbers"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 3, 1e300]), "want finite numbers"),
        (lambda c: c.update(categories=[]), "has no categories"),
    ],
)
def test_a_broken_coco_file_is_one_sentence(tmp_path: Path, change: Any, words: str) -> None:
    dataset = LAYOUTS["coco"](tmp_path)
    edit_coco(tmp_path, change)
    with pytest.raises(SourceError, match=words):
        rows_of(dataset)


def test_a_uavdt_row_with_too_few_columns_and_a_missing_sequence_are_named(tmp_path: Path) -> None:
    dataset = LAYOUTS["uavdt"](tmp_path)
    path = tmp_path / "GT/M0101_gt_whole.txt"
    path.write_text("1,1,2,3,4\n")
    with pytest.raises(SourceError, match=r"M0101_gt_whole\.txt:1: 5 columns, want 9"):
        rows_of(dataset)
    path.rename(tmp_path / "GT/M0901_gt_whole.txt")
    lost = dataset.model_copy(update={"annotations": {"train": "GT/M0901_gt_whole.txt"}})
    with pytest.raises(SourceError, match=r"M0901: no img\*\.jpg lies there"):
        rows_of(lost)


def test_a_pattern_that_matches_nothing_says_what_lies_there(tmp_path: Path) -> None:
    dataset = LAYOUTS["uavdt"](tmp_path).model_copy(update={"annotations": {"train": "GT/X*_gt_whole.txt"}})
    with pytest.raises(SourceError, match=r"X\*_gt_whole\.txt is not there \(the train annotations\).*holds GT, UAV"):
        rows_of(dataset)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, cut, swapped or doubled."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        start = rng.randrange(len(data) or 1)
        end = min(len(data), start + rng.randrange(1, 20))
        kind = rng.randrange(5)
        if kind == 0 and data:
            data[start] = rng.randrange(256)
        elif kind == 1:
            del data[start:end]
        elif kind == 2:
            del data[start:]
        elif kind == 3:
            data[start:start] = data[rng.randrange(len(data) or 1) :][: rng.randrange(20)]
        else:
            data[start:end] = bytes(rng.choice(b'0123456789,.-[]{}": \n\\eE') for _ in range(end - start))
    return bytes(data)


FUZZED = {
    "crowdhuman": "annotation_train.odgt",
    "citypersons_mat": "annotations/anno_train.mat",
    "citypersons_json": "gtBboxCityPersons/train/ulm/ulm_train_000001_gtBboxCityPersons.json",
    "wider_pedestrian": "train_annotations.txt",
    "uavdt": "GT/M0101_gt_whole.txt",
    "coco": "annotations/instances_train2017.json",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FUZZED)
def test_damaged_files_give_scenes_or_one_sentence(tmp_path: Path, name: str) -> None:
    count = 500 if name == "citypersons_mat" else 2000  # a .mat file is read by a process of its own
    dataset = LAYOUTS[name](tmp_path)
    path, rng, refused = tmp_path / FUZZED[name], random.Random(name), 0
    content = path.read_bytes()
    for _ in range(count):
        path.write_bytes(mutated(content, rng))
        try:
            rows = rows_of(dataset)
        except SourceError as error:
            refused += 1
            assert "\n" not in str(error)
            assert path.name in str(error) or path.parent.name in str(error)
            continue
        for scene in rows:
            if isinstance(scene, RawScene):
                assert not re.search(r"(^|/)\.\.(/|$)|^/", scene.image_path)
                assert all(np.isfinite(box.full).all() for box in scene.boxes)
    assert count / 10 < refused < count


def test_an_unchanged_image_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"first")
    asked: list[Path] = []

    def inspect(paths: Any) -> list[ImageFacts]:
        asked.extend(paths)
        return [ImageFacts(1, 2, "sha", one.stat().st_size if one.exists() else None) for one in paths]

    missing = tmp_path / "missing.jpg"
    for content, wanted in ((b"first", [path, missing]), (b"first", [missing]), (b"second", [path, missing])):
        if path.read_bytes() != content:
            path.write_bytes(content)
        asked.clear()
        with ImageCache(tmp_path / "images.sqlite") as cache:
            facts = cache.facts([path, missing], inspect)
        assert asked == wanted
        assert [one.file_bytes for one in facts] == [len(content), None]


def test_a_class_between_two_classes_is_neither(tmp_path: Path) -> None:
    """1.7 is no pedestrian and 1.9 no car."""
    for layout, name, row, label in (
        ("wider_pedestrian", "train_annotations.txt", "a.jpg 1.7 1 2 3 4\n", "class 1.7"),
        ("uavdt", "GT/M0101_gt_whole.txt", "1,1,10,20,30,40,1,1,1.9\n", "category 1.9"),
    ):
        dataset = LAYOUTS[layout](tmp_path / layout)
        (tmp_path / layout / name).write_text(row)
        rows = [row for row in rows_of(dataset) if isinstance(row, RawScene)]
        assert next(row for row in rows if row.boxes).boxes[0].label == label


@pytest.mark.parametrize(("flag", "ignored"), [("0", False), ("false", False), (0.0, False), ("1", True), (True, True)])
def test_a_flag_as_text_is_read_exactly(tmp_path: Path, flag: object, ignored: bool) -> None:
    dataset = LAYOUTS["coco"](tmp_path / "coco")
    path = tmp_path / "coco/annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    for key in ("iscrowd", "ignore"):
        rows = [{**row, "iscrowd": 0, key: flag} for row in content["annotations"]]
        path.write_text(json.dumps(content | {"annotations": rows}))
        boxes = [box for row in rows_of(dataset) if isinstance(row, RawScene) for box in row.boxes]
        assert {box.ignore for box in boxes} == {ignored}
    crowd = LAYOUTS["crowdhuman"](tmp_path / "crowd")
    line = {"ID": "a", "gtboxes": [{"tag": "Person", "fbox": [1, 2, 3, 4], "extra": {"ignore": flag}}]}
    (tmp_path / "crowd/annotation_train.odgt").write_text(json.dumps(line))
    (scene,) = rows_of(crowd)
    assert isinstance(scene, RawScene)
    assert scene.boxes[0].ignore is ignored


def test_a_flag_that_says_nothing_is_refused_by_name(tmp_path: Path) -> None:
    dataset = LAYOUTS["coco"](tmp_path)
    path = tmp_path / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["iscrowd"] = "perhaps"
    path.write_text(json.dumps(content))
    with pytest.raises(SourceError, match=r"annotation \d+: iscrowd is the flag 'perhaps'; want 0, 1, true or false"):
        rows_of(dataset)


def test_an_id_that_is_a_whole_float_is_the_number(tmp_path: Path) -> None:
    dataset = LAYOUTS["coco"](tmp_path)
    before = [row.boxes for row in rows_of(dataset) if isinstance(row, RawScene)]
    path = tmp_path / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    content["annotations"] = [{**row, "image_id": float(row["image_id"])} for row in content["annotations"]]
    path.write_text(json.dumps(content))
    assert [row.boxes for row in rows_of(dataset) if isinstance(row, RawScene)] == before
