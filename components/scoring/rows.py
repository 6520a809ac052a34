"""What per_image.parquet and detections.parquet hold of each answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.core.grammars import AnyParsed
from components.core.grammars.answers import CountAnswer, TextAnswer
from components.metrics.detection import ImageCounts
from components.scoring.tasks import TaskScores
from components.store.schemas.scores import DETECTIONS, PER_IMAGE
from components.store.tables import write_table

Row = Any


@dataclass(slots=True)
class ScoreRows:
    """The rows of both tables, task after task; `counts` are those of per_image's rows, in order."""

    per_image: list[Row] = field(default_factory=list)
    boxes: list[Row] = field(default_factory=list)
    counts: list[ImageCounts] = field(default_factory=list)

    def add(self, scores: TaskScores, confidence: str) -> None:
        """One task's images: a row each, and a row each of their boxes under the confidence."""
        for image, count in zip(scores.images, scores.counts, strict=True):
            place = {key: image.row[key] for key in ("sample_id", "scene_id", "source")}
            found, answer = image.judged.found, image.judged.answer
            self.boxes += [
                place | {"order": order, "label": label, "score": float(score)} | _corners(box)
                for order, (box, label, score) in enumerate(
                    zip(found.boxes, found.labels, found.scores[confidence], strict=True)
                )
            ]
            self.counts.append(count)
            self.per_image.append(place | _of_task(answer) | {
                "task": image.row["task"],
                "failure": image.failure,
                "look_boxes": image.look,
                "think": image.think,
                "disagreement": None if image.disagreement is None else image.disagreement.tobytes(),
                "truth_count": count.truth,
                "predicted_count": count.predicted,
                "matched_count": count.matched,
                "matched_iou_sum": count.iou_sum,
            })  # fmt: skip

    def write(self, out: Path) -> None:
        """Both tables into the folder."""
        write_table(out / "detections.parquet", DETECTIONS, self.boxes)
        write_table(out / "per_image.parquet", PER_IMAGE, self.per_image)


def _of_task(answer: AnyParsed) -> Row:
    """What was said that is no box: a count, its points, a text."""
    points = answer.points if isinstance(answer, CountAnswer) else None
    return {
        "answer_count": answer.count if isinstance(answer, CountAnswer) else None,
        "answer_points": None if points is None else points.tolist(),
        "answer_text": answer.text if isinstance(answer, TextAnswer) else None,
    }


def _corners(box: Any) -> dict[str, float]:
    return {name: float(value) for name, value in zip(("x1", "y1", "x2", "y2"), box, strict=True)}
