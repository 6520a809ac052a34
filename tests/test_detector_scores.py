"""`lookout score`: any detector under every protocol; what does not fit is one sentence, or is dropped and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from components.cli import app
from components.detector_scores import read_evaluation_set, score_files
from components.errors import DataError

TRUTH = {
    "images": [{"id": 7, "width": 200, "height": 200}, {"id": 3, "width": 200, "height": 200}],
    "categories": [{"id": 1, "name": "person"}],
    "annotations": [
        {"id": 0, "image_id": 7, "category_id": 1, "bbox": [0, 0, 40, 100], "area": 4000, "vis_ratio": 0.9},
        {"id": 1, "image_id": 7, "category_id": 1, "bbox": [60, 0, 40, 60], "vis_bbox": [60, 0, 40, 30]},
        {"id": 2, "image_id": 3, "category_id": 1, "bbox": [10, 10, 40, 100], "iscrowd": 0, "ignore": 0},
        {"id": 3, "image_id": 3, "category_id": 1, "bbox": [100, 0, 100, 200], "iscrowd": 0, "ignore": 1},
    ],
}
FOUND = [
    {"image_id": 7, "category_id": 1, "bbox": [0, 0, 40, 100], "score": 0.9},
    {"image_id": 3, "category_id": 1, "bbox": [10, 10, 40, 100], "score": 0.8},
    {"image_id": 3, "category_id": 1, "bbox": [110, 20, 30, 90], "score": 0.7},  # in the ignore region
    {"image_id": 7, "category_id": 1, "bbox": [150, 150, 30, 50], "score": 0.2},
]


def files(folder: Path, truth: Any = TRUTH, found: Any = FOUND) -> tuple[Path, Path]:
    paths = folder / "truth.json", folder / "found.json"
    for path, content in zip(paths, (truth, found), strict=True):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return paths


def changed(rows: list[dict[str, Any]], place: int, **values: Any) -> list[dict[str, Any]]:
    return [row | (values if i == place else {}) for i, row in enumerate(rows)]


def test_a_mixed_case_by_hand(tmp_path: Path) -> None:
    scores = score_files(*files(tmp_path))
    assert scores["detection"] | {"mean_f1": 0} == {
        "precision": pytest.approx(2 / 3), "recall": pytest.approx(2 / 3), "f1": pytest.approx(2 / 3), "mean_f1": 0,
        "count_mae": 0.0, "count_rmse": 0.0, "count_within_10_percent": 1.0,
    }  # fmt: skip
    # points (1/3, 1), (2/3, 1), (2/3, 2/3): one trapezoid of a third; the ignored box is no point
    assert scores["crowdhuman"]["AP"] == pytest.approx(1 / 3)
    # two images: k / (m + n - k) is 1 / (2 + 1 - 1) and 1 at a threshold of .2, where the false box is gone
    assert scores["crowdhuman"]["JI"] == pytest.approx(0.75)
    # miss 1/3 at every reference point: the false box comes last, at 1/2 per image
    assert scores["crowdhuman"]["MR"] == pytest.approx(1 / 3)
    # Reasonable: two people, the third is hidden by half and so a region to ignore
    assert scores["citypersons"] == {"Reasonable": 0.0, "Small": None, "Heavy": 1.0, "All": pytest.approx(1 / 3)}
    # COCO knows iscrowd only: the box marked `ignore` is a fourth person to it
    assert scores["coco"]["AR100"] == pytest.approx(0.5)
    assert scores["confidence"] == "given"
    assert "tie_shuffles" not in scores


def test_nothing_found_is_a_result_and_constant_scores_are_named(tmp_path: Path) -> None:
    scores = score_files(*files(tmp_path, found=[]))
    assert scores["coco"]["AP"] == scores["crowdhuman"]["AP"] == 0.0
    assert scores["crowdhuman"]["MR"] == 1.0
    constant = [row | {"score": 1.0} for row in FOUND]
    scores = score_files(*files(tmp_path, found=constant), shuffles=3)
    assert scores["confidence"] == "constant"
    assert set(scores["tie_shuffles"]) == {"coco.AP", "coco.AP50", "crowdhuman.AP", "crowdhuman.MR", "seeds"}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (changed(FOUND, 1, image_id=99), r"predictions\[1\] names an unknown image: image_id 99; 1 of 4"),
        (changed(FOUND, 0, category_id=2), r"names an unknown category: category_id 2"),
        (changed(FOUND, 0, bbox=[0, 0, float("nan"), 5]), r"has no bbox of four finite numbers"),
        (changed(FOUND, 0, bbox=[0, 0, -4, 5]), r"has a bbox of negative size"),
        (changed(FOUND, 0, bbox=[0, 0, 4]), r"has no bbox of four finite numbers"),
        (changed(FOUND, 2, score=1.5), r"predictions\[2\] has a score outside 0 to 1: 1.5"),
        (changed(FOUND, 2, score=None), r"has a score outside 0 to 1: None"),
        ([*FOUND, 5], r"predictions\[4\] is no object"),
        ({"a": 1}, "holds dict; want COCO results, a list"),
        ("", "is empty; want JSON"),
        ("[{", "is not JSON"),
    ],
)
def test_predictions_that_do_not_fit_are_one_sentence(tmp_path: Path, found: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        score_files(*files(tmp_path, found=found))


@pytest.mark.parametrize(
    ("key", "rows", "said"),
    [
        ("images", [], "names no image"),
        ("images", changed(TRUTH["images"], 1, id=7), r"images\[1\] repeats an id: 7"),
        ("images", changed(TRUTH["images"], 1, width=0), "has no size"),
        ("annotations", changed(TRUTH["annotations"], 2, id=1), r"annotations\[2\] repeats an id: 1"),
        ("annotations", changed(TRUTH["annotations"], 2, image_id=1), "unknown image"),
        ("annotations", changed(TRUTH["annotations"], 0, vis_ratio=3), "vis_ratio outside 0 to 1"),
        ("categories", "person", "is no COCO file"),
    ],
)
def test_a_truth_that_does_not_hold_is_one_sentence(tmp_path: Path, key: str, rows: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        score_files(*files(tmp_path, truth=TRUTH | {key: rows}))


def test_lenient_drops_and_counts(tmp_path: Path) -> None:
    found = [*FOUND, FOUND[0] | {"image_id": 99}, FOUND[0] | {"score": 7}]
    data, dropped = read_evaluation_set(*files(tmp_path, found=found), lenient=True)
    assert len(data.found.order) == 4
    assert dropped == {"predictions: names an unknown image": 1, "predictions: has a score outside 0 to 1": 1}
    strict = score_files(*files(tmp_path))
    assert score_files(*files(tmp_path, found=found), lenient=True) == strict | {"dropped": dict(dropped)}


def test_the_command_prints_tables_and_json(tmp_path: Path) -> None:
    truth, found = files(tmp_path)
    arguments = ["score", "--truth", str(truth), "--predictions", str(found)]
    answer = CliRunner().invoke(app, [*arguments, "--json", "--protocol", "crowdhuman"])
    assert json.loads(answer.stdout)["crowdhuman"]["JI"] == pytest.approx(0.75)
    assert "coco" not in json.loads(answer.stdout)
    printed = CliRunner().invoke(app, arguments).stdout
    assert "2 images, confidences given" in printed
    assert "Reasonable              0.0000" in printed
    assert "Small                   –" in printed
