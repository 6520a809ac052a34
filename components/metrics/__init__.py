"""Metrics: numbers in, numbers out, no files. Every table names the variant that it shows."""

from __future__ import annotations

from components.metrics.counting import by_true_count, counting_numbers
from components.metrics.grounding import accuracy_by_iou, grounding_numbers
from components.metrics.ranked import ranked_numbers
from components.metrics.reading import by_true_length, reading_numbers
from components.metrics.task import TaskMetric, of_answers

TASK_METRICS: dict[str, TaskMetric] = {
    "detect": TaskMetric("F1 at .5", ranked_numbers, ranked=True),
    "ground": TaskMetric("accuracy at IoU .5", of_answers(grounding_numbers, accuracy_by_iou=accuracy_by_iou)),
    "count": TaskMetric("exact counts", of_answers(counting_numbers, by_true_count=by_true_count)),
    "read": TaskMetric("F1 of words", of_answers(reading_numbers, by_true_length=by_true_length)),
}
"""What each task is measured by."""
