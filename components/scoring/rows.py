"""What per_image.parquet and detections.parquet hold of each answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.metrics.detection import ImageCounts
from components.scoring.answers import ImageAnswer
from components.scoring.tasks import TaskScores
from components.store.schemas.scores import DETECTIONS, PER_IMAGE
from components.store.tables import write_table

Row = dict[str, Any]
OF_TASKS = ("answer_count", "answer_points", "answer_text")


@dataclass(slots=True)
class ScoreRows:
    """The rows of both tables, task after task; `counts` are those of per_image's rows, in order."""

    per_image: list[Row] = field(default_factory=list)
    boxes: list[Row] = field(default_factory=list)
    counts: list[ImageCounts] = field(default_factory=list)

    def add_images(self, images: Sequence[ImageAnswer], counts: Sequence[ImageCounts], confidence: str) -> None:
        """Detection: a row an image, its boxes ranked by the confidence."""
        for image, count in zip(images, counts, strict=True):
            place = _place(image.row)
            found = zip(image.found.boxes, image.found.labels, image.found.scores[confidence], strict=True)
            self.boxes += [
                place | {"order": order, "label": label, "score": float(score)} | _corners(box)
                for order, (box, label, score) in enumerate(found)
            ]
            said: Row = {
                "failure": image.failure,
                "look_boxes": image.look,
                "think": image.think,
                "disagreement": None if image.disagreement is None else image.disagreement.tobytes(),
            }
            self._add(place | {"task": image.row["task"]} | said | dict.fromkeys(OF_TASKS), count)

    def add_task(self, samples: Sequence[Row], scores: TaskScores) -> None:
        """Any other task: a row a sample."""
        for sample, said, count in zip(samples, scores.rows, scores.counts, strict=True):
            place = _place(sample)
            self.boxes += [
                place | {"order": order, "label": "", "score": 1.0} | _corners(box)
                for order, box in enumerate(said["boxes"])
            ]
            columns = {name: value for name, value in said.items() if name != "boxes"}
            self._add(place | {"task": sample["task"], "disagreement": None} | columns, count)

    def _add(self, row: Row, count: ImageCounts) -> None:
        self.counts.append(count)
        self.per_image.append(
            row
            | {
                "truth_count": count.truth,
                "predicted_count": count.predicted,
                "matched_count": count.matched,
                "matched_iou_sum": count.iou_sum,
            }
        )

    def write(self, out: Path) -> None:
        """Both tables into the folder."""
        write_table(out / "detections.parquet", DETECTIONS, self.boxes)
        write_table(out / "per_image.parquet", PER_IMAGE, self.per_image)


def _place(row: Row) -> Row:
    return {key: row[key] for key in ("sample_id", "scene_id", "source")}


def _corners(box: Any) -> dict[str, float]:
    return {name: float(value) for name, value in zip(("x1", "y1", "x2", "y2"), box, strict=True)}
