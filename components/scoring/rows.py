"""What per_image.parquet and detections.parquet hold of each answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from components.core.grammars.answers import CountAnswer, TextAnswer
from components.metrics.detection import ImageCounts
from components.scoring.answers import ImageAnswer
from components.scoring.tasks import TaskScores
from components.store.schemas.scores import DETECTIONS, PER_IMAGE, DetectionRow, PerImageRow
from components.store.tables import write_table


@dataclass(slots=True)
class ScoreRows:
    """The rows of both tables, task after task; `counts` are those of per_image's rows, in order."""

    per_image: list[PerImageRow] = field(default_factory=list[PerImageRow])
    boxes: list[DetectionRow] = field(default_factory=list[DetectionRow])
    counts: list[ImageCounts] = field(default_factory=list[ImageCounts])

    def add(self, scores: TaskScores, confidence: str) -> None:
        """One task's images: a row each, and a row each of their boxes under the confidence."""
        for image, count in zip(scores.images, scores.counts, strict=True):
            self.boxes += _boxes(image, confidence)
            self.counts.append(count)
            self.per_image.append(_row(image, count))

    def write(self, out: Path) -> None:
        """Both tables into the folder."""
        write_table(out / "detections.parquet", DETECTIONS, self.boxes)
        write_table(out / "per_image.parquet", PER_IMAGE, self.per_image)


def _boxes(image: ImageAnswer, confidence: str) -> list[DetectionRow]:
    row, found = image.row, image.judged.found
    boxes = zip(found.boxes.tolist(), found.labels, found.scores[confidence].tolist(), strict=True)
    return [
        {
            "sample_id": row["sample_id"], "scene_id": row["scene_id"], "source": row["source"],
            "order": order, "x1": x1, "y1": y1, "x2": x2, "y2": y2, "label": label, "score": score,
        }
        for order, ((x1, y1, x2, y2), label, score) in enumerate(boxes)
    ]  # fmt: skip


def _row(image: ImageAnswer, count: ImageCounts) -> PerImageRow:
    row, answer = image.row, image.judged.answer
    points = answer.points if isinstance(answer, CountAnswer) else None
    return {
        "sample_id": row["sample_id"],
        "scene_id": row["scene_id"],
        "source": row["source"],
        "task": row["task"],
        "failure": image.failure,
        "truth_count": count.truth,
        "predicted_count": count.predicted,
        "matched_count": count.matched,
        "matched_iou_sum": count.iou_sum,
        "look_boxes": image.look,
        "think": image.think,
        "disagreement": None if image.disagreement is None else image.disagreement.tobytes(),
        "answer_count": answer.count if isinstance(answer, CountAnswer) else None,
        "answer_points": None if points is None else points.tolist(),
        "answer_text": answer.text if isinstance(answer, TextAnswer) else None,
    }
