"""`lookout score`: any detector under every protocol; what does not fit is one sentence, or is dropped and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from components.cli.main import app
from components.errors import DataError
from components.scoring.files.detections import read_evaluation_set, score_files

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
        (changed(FOUND, 2, score=None), r"has no score, which ranks the boxes"),
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
    assert "2 images, 3 people and 1 ignore regions, 4 boxes, confidences given" in printed
    assert "Reasonable              0.0000" in printed
    assert "Small                   –" in printed


@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
@pytest.mark.parametrize("flag", ["0", "false", False, 0.0, None])
def test_a_flag_that_is_not_set_is_none_whatever_its_type(tmp_path: Path, key: str, flag: object) -> None:
    people = [row | {"ignore": 0, key: flag} for row in TRUTH["annotations"]]
    truth = TRUTH | {"annotations": people}
    found = [{key: row[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.5} for row in people]
    scores = score_files(*files(tmp_path, truth, found))
    assert scores["people"] == 4
    assert scores["detection"]["f1"] == 1.0
    assert scores["coco"]["AP"] == pytest.approx(1.0)


def test_a_flag_that_says_nothing_is_refused_by_name(tmp_path: Path) -> None:
    truth = TRUTH | {"annotations": changed(TRUTH["annotations"], 1, iscrowd="perhaps")}
    with pytest.raises(
        DataError, match=r"annotations\[1\] has the flag iscrowd, which is not 0, 1, true or false: 'per"
    ):
        score_files(*files(tmp_path, truth))


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("found", {"image_id": "7"}, r"names an unknown image: image_id '7' \(text\), the truth has 3"),
        ("found", {"score": "0.9"}, r"has a score that is no number: '0.9' \(text\)"),
        ("annotations", {"area": "4000"}, r"has an area that is no number: '4000' \(text\)"),
        ("annotations", {"vis_ratio": "1"}, r"has a vis_ratio that is no number: '1' \(text\)"),
        ("images", {"width": "200"}, r"width and height are '200' \(text\) and 200"),
    ],
)
def test_a_sentence_says_that_a_number_is_text(tmp_path: Path, part: str, values: dict, said: str) -> None:
    truth, found = TRUTH, FOUND
    if part == "found":
        found = changed(FOUND, 0, **values)
    else:
        truth = TRUTH | {part: changed(TRUTH[part], 0, **values)}
    with pytest.raises(DataError, match=said):
        score_files(*files(tmp_path, truth, found))


def test_an_id_that_is_a_whole_float_is_the_number(tmp_path: Path) -> None:
    found = [row | {"image_id": float(row["image_id"]), "category_id": 1.0} for row in FOUND]
    assert score_files(*files(tmp_path, TRUTH, found)) == score_files(*files(tmp_path))
    with pytest.raises(DataError, match="names an unknown category: category_id True"):
        score_files(*files(tmp_path, TRUTH, changed(FOUND, 0, category_id=True)))


def test_boxes_without_scores_are_scored_where_nothing_ranks_them(tmp_path: Path) -> None:
    found = [{key: value for key, value in row.items() if key != "score"} for row in FOUND]
    scores = score_files(*files(tmp_path, TRUTH, found), "detection")
    assert scores["detection"] == score_files(*files(tmp_path), "detection")["detection"]
    assert scores["confidence"] == "none"
    assert "best_threshold" not in scores
    for protocol, least in (("coco", 0.0), ("all", 0.0), ("detection", 0.5)):
        with pytest.raises(
            DataError, match=r"predictions\[0\] has no score, which ranks the boxes \(--protocol detection"
        ):
            score_files(*files(tmp_path, TRUTH, found), protocol, min_score=least)


def test_weak_boxes_are_left_out_and_the_best_threshold_is_named(tmp_path: Path) -> None:
    weak = [{"image_id": 7, "category_id": 1, "bbox": [5 * i, 150, 4, 9], "score": 0.05} for i in range(6)]
    whole = score_files(*files(tmp_path, TRUTH, FOUND + weak))
    # the two that are right, and the one in the ignore region, which does not count: 2 x 2 / (2 + 3)
    assert whole["best_threshold"] == pytest.approx(
        {"threshold": 0.7, "f1": 0.8, "precision": 1.0, "recall": 2 / 3, "tried": 5}
    )
    assert whole["detection"]["f1"] == pytest.approx(4 / 12)
    cut = score_files(*files(tmp_path, TRUTH, FOUND + weak), min_score=0.7)
    assert cut["detection"]["f1"] == pytest.approx(0.8)
    assert (cut["boxes"], cut["boxes_below_min_score"]) == (3, 7)
    truth, found = files(tmp_path, TRUTH, FOUND + weak)
    arguments = ["--truth", str(truth), "--predictions", str(found)]
    said = CliRunner().invoke(app, ["score", *arguments, "--min-score", "0.1"]).stdout
    assert "2 images, 3 people and 1 ignore regions, 4 boxes (6 below --min-score), confidences given" in said
    assert "it is best, 0.8000, for boxes of 0.7 and more" in said


def test_corners_read_as_sides_are_a_warning(tmp_path: Path) -> None:
    corners = [
        row | {"bbox": [x, y, x + w, y + h]} for row in FOUND for x, y, w, h in [[90 + row["bbox"][0], 90, 60, 80]]
    ]
    (warning,) = score_files(*files(tmp_path, TRUTH, corners))["warnings"]
    assert (
        warning == "100 % of the predicted boxes leave their image; are they x1 y1 x2 y2? COCO's are x y width height"
    )
    assert score_files(*files(tmp_path))["warnings"] == []
