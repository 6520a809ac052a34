"""Boxes are asked for, and counted, after the entry's map of words; a split without any is an error that says why."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.errors import QualityError
from components.params.base import BaseParams
from components.params.datasets import TilingParams
from components.params.reading import load_section
from components.params.validate import ValidateParams
from components.quality.asked import check_tiles
from components.sources import ingest
from components.stages import validate
from components.store.schemas.ingested import BOXES, SCENES
from components.store.tables import read_table
from tests.support.layouts import LAYOUTS, params, picture

LABELS = {"uavdt": ["car", "truck", "bus"]}


def coco(root: Path, annotations: list[dict[str, Any]], *names: str) -> Any:
    """Two images of one split; the categories are numbered from 1."""
    for number in (1, 2):
        picture(root / f"train2017/{number}.jpg", number)
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 64, "height": 48} for number in (1, 2)]
    rows = [{"id": i, "bbox": [5 + 3 * i, 5, 10, 20]} | row for i, row in enumerate(annotations)]
    categories = [{"id": i, "name": name} for i, name in enumerate(names, start=1)]
    (root / "annotations").mkdir(exist_ok=True)
    path = root / "annotations/instances_train2017.json"
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))
    return params(root, "coco", {"train": "annotations/instances_train2017.json"})


def counts(folder: Path, entry: Any, labels: list[str]) -> dict[str, Any]:
    """Ingested and validated: the counts."""
    ingest.run("new", folder / "interim", entry)
    limits = load_section(ValidateParams)
    base = load_section(BaseParams)
    validate.run("new", folder / "interim", folder / "out", folder / "docs", entry, labels, limits, base)
    return json.loads((folder / "out/validation.json").read_text())["counts"]


def test_dogs_are_not_counted_as_people(tmp_path: Path) -> None:
    rows = [{"image_id": 1, "category_id": 1}, {"image_id": 2, "category_id": 1}]
    rows += [{"image_id": 1, "category_id": 2}] * 5
    entry = coco(tmp_path, [row | {"id": i} for i, row in enumerate(rows)], "PERSON ", "dog")
    found = counts(tmp_path, entry.model_copy(update={"classes": {"person": "person", "*": "other"}}), ["person"])
    assert (found["people"], found["mean_people"], found["other_boxes"]) == (2, 1.0, 5)
    assert found["asked_for"] == {"person": 2}


def test_cars_are_not_called_people(tmp_path: Path) -> None:
    found = counts(tmp_path, LAYOUTS["uavdt"](tmp_path), LABELS["uavdt"])
    assert found["things"] == sum(found["asked_for"].values()) > 0
    assert set(found["asked_for"]) <= {"car", "truck", "bus"}
    assert not [key for key in found if "people" in key]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_split_of_any_format_that_asks_for_none_of_its_boxes_is_an_error(tmp_path: Path, layout: str) -> None:
    entry = LAYOUTS[layout](tmp_path).model_copy(update={"classes": {"*": "other"}})
    words = r"has no box that is asked for .* boxes are called '\w+.* \(\d+.*; map its words in datasets.new.classes"
    with pytest.raises(QualityError, match=words):
        counts(tmp_path, entry, LABELS.get(layout, ["person"]))
    assert not (tmp_path / "out").exists()


def test_a_word_that_can_only_mean_a_person_is_proposed(tmp_path: Path) -> None:
    entry = coco(tmp_path, [{"image_id": 1, "category_id": 1}], "pedestrian")
    with pytest.raises(QualityError, match=r"1 boxes are called 'pedestrian' \(1\).*'pedestrian': person, '\*': other"):
        counts(tmp_path, entry, ["person"])


def test_no_box_at_all_is_explained_by_what_was_skipped(tmp_path: Path) -> None:
    entry = coco(tmp_path, [{"image_id": "1", "category_id": 1}], "person")
    with pytest.raises(
        QualityError, match=r"train split has no box at all in its 2 images; 1 rows were noted, the"
    ) as no:
        counts(tmp_path, entry, ["person"])
    assert "annotation 0: its image_id '1' (text) is none of the images" in str(no.value)


def test_people_who_are_all_to_be_ignored_are_no_people(tmp_path: Path) -> None:
    entry = coco(tmp_path, [{"image_id": 1, "category_id": 1, "iscrowd": "1"}], "person")
    with pytest.raises(QualityError, match=r"'person' \(1, ignored\); all of them are flagged to be ignored"):
        counts(tmp_path, entry, ["person"])


def test_an_unknown_word_is_shown(tmp_path: Path) -> None:
    rows = [{"image_id": 1, "category_id": 1}, {"image_id": 2, "category_id": 2}]
    with pytest.raises(QualityError, match=r"unknown_word.*box 0: tram"):
        counts(tmp_path, coco(tmp_path, rows, "person", "tram"), ["person"])


def test_a_map_to_a_label_that_nobody_asks_for_is_an_error(tmp_path: Path) -> None:
    entry = coco(tmp_path, [{"image_id": 1, "category_id": 1}], "person")
    with pytest.raises(QualityError, match="maps 'person' to 'human', which is none of the labels person; want one"):
        counts(tmp_path, entry.model_copy(update={"classes": {"person": "human"}}), ["person"])


def test_a_dataset_without_the_box_that_counts_is_an_error(tmp_path: Path) -> None:
    entry = coco(tmp_path, [{"image_id": 1, "category_id": 1}], "person")
    with pytest.raises(QualityError, match="none of its 1 boxes has a head box, so nobody could be found"):
        counts(tmp_path, entry.model_copy(update={"box": "head"}), ["person"])


def test_split_folders_that_use_the_same_file_names_are_told_apart(tmp_path: Path) -> None:
    entry = coco(tmp_path, [{"image_id": 1, "category_id": 1}], "person")
    (tmp_path / "annotations/instances_val2017.json").write_text(
        (tmp_path / "annotations/instances_train2017.json").read_text()
    )
    for number in (1, 2):
        picture(tmp_path / f"val2017/{number}.jpg", 10 + number)
    both = entry.annotations | {"val": "annotations/instances_val2017.json"}
    found = counts(tmp_path, entry.model_copy(update={"annotations": both}), ["person"])
    assert found["people"] == 2
    scenes = read_table(tmp_path / "interim/scenes.parquet", SCENES)
    assert scenes["scene_id"].to_pylist() == ["1.jpg", "2.jpg", "val2017/1.jpg", "val2017/2.jpg"]
    boxes = read_table(tmp_path / "interim/boxes.parquet", BOXES)
    assert boxes["scene_id"].to_pylist() == ["1.jpg", "val2017/1.jpg"]


def test_tiles_that_no_model_takes_are_refused(tmp_path: Path) -> None:
    entry = coco(tmp_path, [{"image_id": 1, "category_id": 1}], "person")
    tiling = TilingParams(rows=100, columns=1, overlap_frac=0)
    sentence = r"datasets\.new\.tiling cuts 1\.jpg \(64 x 48 px\) into tiles of 64 x 0 px, .*; take fewer rows"
    with pytest.raises(QualityError, match=sentence):
        counts(tmp_path, entry.model_copy(update={"tiling": tiling}), ["person"])


@pytest.mark.parametrize(("width", "fits"), [(400, True), (399, False), (2, False)])
def test_a_tile_may_be_1_to_200(width: int, fits: bool) -> None:
    column = {"scene_id": ["0.jpg", "1.jpg"], "width_px": [None, float(width)], "height_px": [None, 400.0]}
    scenes = pd.DataFrame(column | {"image_defect": ["missing", None]})
    tiling = TilingParams(rows=1, columns=200, overlap_frac=0)
    with nullcontext() if fits else pytest.raises(QualityError, match="take fewer columns"):
        check_tiles("new", scenes, tiling)
