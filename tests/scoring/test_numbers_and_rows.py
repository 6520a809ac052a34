"""Numbers of two images worked by hand, and the rows that are kept of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.core.boxes import as_boxes
from components.core.completion import Answer, ParseFailure
from components.core.scene import Truth
from components.errors import DataError
from components.metrics import TASK_METRICS
from components.metrics.detection import ImageCounts
from components.metrics.task import Found, Judged, TaskNumbers
from components.params.score import ScoreParams
from components.scoring.answers import ImageAnswer
from components.scoring.rows import ScoreRows
from components.scoring.tasks import TaskScores, task_summary
from components.store.schemas.scores import DETECTIONS, PER_IMAGE
from components.store.tables import read_table

PARAMS = ScoreParams(min_iou=0.5, confidence="rank", convention="lookout", tie_shuffles=0, bootstrap_samples=20, seed=0)
PERSON, ELSEWHERE = [10, 10, 30, 50], [60, 60, 80, 90]


def answer(name: str, source: str, boxes: list[list[int]], **scores: list[float]) -> ImageAnswer:
    """One person in a picture of 100 x 100, and these boxes."""
    truth = Truth(as_boxes([PERSON]), ("person",), as_boxes([]), 100, 100)
    known = {key: np.array(values, dtype=float) for key, values in ({"constant": [1.0] * len(boxes)} | scores).items()}
    found = Found(as_boxes(boxes), ("person",) * len(boxes), known)
    row = {"sample_id": name, "scene_id": name, "source": source, "task": "detect"}
    judged = Judged(source, truth, Answer("a thought", as_boxes([]), found.boxes, found.labels), found, found)
    return ImageAnswer(row, judged, None, [[0.0, 0.0, 50.0, 50.0]], "a thought", None)


def numbers_of(images: list[ImageAnswer], params: ScoreParams = PARAMS) -> TaskNumbers:
    return TASK_METRICS["detect"].measure([image.judged for image in images], params)


def two_images() -> list[ImageAnswer]:
    """In the one the person is found; in the other somebody else is, and the person is not."""
    return [answer("a/1", "a", [PERSON], rank=[1.0]), answer("b/1", "b", [ELSEWHERE], rank=[0.5])]


def test_one_of_two_boxes_right_is_a_half_of_everything() -> None:
    numbers = numbers_of(two_images())
    read = [image.judged.answer for image in two_images()]
    summary = task_summary(TASK_METRICS["detect"], numbers, [*read, read[0], ParseFailure("empty", 0)], PARAMS)
    assert numbers.counts == [ImageCounts(1, 1, 1, 1.0), ImageCounts(0, 1, 1, 0.0)]
    detection = numbers.beside["detection"]
    assert {name: detection[name] for name in ("precision", "recall", "f1", "mean_f1", "count_mae")} == {
        "precision": 0.5, "recall": 0.5, "f1": 0.5, "mean_f1": 0.5, "count_mae": 0.0,
    }  # fmt: skip
    assert summary["headline"]["value"] == 0.5
    assert summary["format_rate"] == 0.75
    assert summary["failures"] == {"empty": 1}
    # the right box comes first: precision is 1 up to recall .5, so 51 of COCO's 101 points are 1
    assert numbers.beside["coco"]["AP"] == pytest.approx(51 / 101)
    assert numbers.beside["confidences"]["rank"]["coco_AP"] == pytest.approx(51 / 101)


def test_each_dataset_has_its_own_numbers() -> None:
    datasets = numbers_of(two_images()).beside["datasets"]
    assert {name: (one["images"], one["detection"]["f1"]) for name, one in datasets.items()} == {
        "a": (1, 1.0), "b": (1, 0.0),
    }  # fmt: skip


def test_a_confidence_that_is_not_there_or_not_of_every_box_is_refused() -> None:
    with pytest.raises(DataError, match=r"confidence is consensus, but the predictions have constant, rank; set"):
        numbers_of(two_images(), PARAMS.model_copy(update={"confidence": "consensus"}))
    unknown = [answer("a/1", "a", [PERSON], rank=[1.0], logprob=[float("nan")])]
    with pytest.raises(DataError, match=r"confidence is logprob, but 1 boxes have none: .* one of constant, rank"):
        numbers_of(unknown, PARAMS.model_copy(update={"confidence": "logprob"}))
    assert numbers_of(unknown).beside["confidences"]["logprob"]["coco_AP"] is None


def test_the_rows_hold_each_images_counts_and_its_boxes_with_their_rank(tmp_path: Path) -> None:
    rows, images = ScoreRows(), two_images()
    counts = numbers_of(images).counts
    rows.add(TaskScores({}, {}, images, counts, {}), "rank")
    rows.write(tmp_path)
    assert rows.counts == counts
    kept: list[dict[str, Any]] = read_table(tmp_path / "per_image.parquet", PER_IMAGE).to_pylist()
    columns = ("sample_id", "task", "truth_count", "predicted_count", "matched_count", "matched_iou_sum", "think")
    assert [tuple(row[name] for name in columns) for row in kept] == [
        ("a/1", "detect", 1, 1, 1, 1.0, "a thought"), ("b/1", "detect", 1, 1, 0, 0.0, "a thought"),
    ]  # fmt: skip
    assert kept[0]["look_boxes"] == [[0.0, 0.0, 50.0, 50.0]]
    assert kept[0]["answer_count"] is None
    boxes = read_table(tmp_path / "detections.parquet", DETECTIONS).to_pylist()
    assert [tuple(box[name] for name in ("sample_id", "order", "x1", "y2", "label", "score")) for box in boxes] == [
        ("a/1", 0, 10.0, 50.0, "person", 1.0), ("b/1", 0, 60.0, 90.0, "person", 0.5),
    ]  # fmt: skip
