"""Answers of every task but detection -> the task's numbers, and a row a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from components.core.completion import Answer, ParseFailure
from components.core.grammars import AnyParsed
from components.core.grammars.answers import CountAnswer, TextAnswer
from components.core.scene import AnyTruth
from components.metrics import TASK_METRICS
from components.metrics.counting import by_true_count
from components.metrics.detection import ImageCounts, f1_interval, pooled
from components.metrics.grounding import accuracy_by_iou
from components.metrics.reading import by_true_length
from components.params.score import ScoreParams
from components.store.samples import truth_of_sample

Row = dict[str, Any]
Table = list[dict[str, Any]]
PLOTS: dict[str, dict[str, Callable[[Sequence[AnyParsed], Sequence[AnyTruth]], Table]]] = {
    "count": {"by_true_count": by_true_count},
    "ground": {"accuracy_by_iou": accuracy_by_iou},
    "read": {"by_true_length": by_true_length},
}
"""task -> file name of a curve -> what fills it."""


@dataclass(frozen=True, slots=True, eq=False)
class TaskScores:
    """`summary` is what metrics.json holds of the task, `rows` what was said, in order, `plots` the curves."""

    summary: Row
    rows: list[Row]
    counts: list[ImageCounts]
    plots: dict[str, Table]


def score_task(task: str, samples: list[Row], answers: Sequence[AnyParsed], params: ScoreParams) -> TaskScores:
    """samples: prompts' rows of one task; answers: to them, in the same order."""
    truths = [truth_of_sample(sample) for sample in samples]
    metric = TASK_METRICS[task]
    summary, counts = summarize(task, answers, truths, params)
    summary["datasets"] = {
        source: metric.compute([answers[i] for i in places], [truths[i] for i in places]).table
        for source, places in _by_source(samples).items()
    }
    plots = {name: curve(answers, truths) for name, curve in PLOTS.get(task, {}).items()}
    return TaskScores(summary, [_said(answer) for answer in answers], counts, plots)


def summarize(
    task: str, answers: Sequence[AnyParsed], truths: Sequence[AnyTruth], params: ScoreParams
) -> tuple[Row, list[ImageCounts]]:
    """The task's entry in metrics.json with the notes of its table, and each sample's part of its headline."""
    metric = TASK_METRICS[task]
    numbers = metric.compute(answers, truths)
    failures = failure_counts(answers)
    summary = task_summary(metric.headline, numbers.table, numbers.counts, failures, len(answers), params)
    return summary | {"notes": list(numbers.notes)}, numbers.counts


def failure_counts(answers: Sequence[AnyParsed]) -> Counter[str]:
    """How many answers cannot be read, by reason."""
    return Counter(answer.reason for answer in answers if isinstance(answer, ParseFailure))


def task_summary(
    name: str, numbers: Row, counts: Sequence[ImageCounts], failures: Counter[str], samples: int, params: ScoreParams
) -> Row:
    """One task's entry in metrics.json; every task has the same keys."""
    return {
        "samples": samples,
        "format_rate": 1 - sum(failures.values()) / samples,
        "failures": dict(failures),
        "headline": headline(name, counts, params),
        "numbers": numbers,
    }


def headline(name: str, counts: Sequence[ImageCounts], params: ScoreParams) -> Row:
    """The one number that models are compared by, and its 95 % bootstrap interval over samples."""
    interval = f1_interval(counts, params.bootstrap_samples, params.seed)
    return {"name": name, "value": pooled(counts)["f1"], "interval": list(interval) if interval else None}


def _by_source(samples: Sequence[Row]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, sample in enumerate(samples):
        places.setdefault(sample["source"], []).append(place)
    return places


def _said(answer: AnyParsed) -> Row:
    """per_image's columns of one answer, and its boxes."""
    failed = isinstance(answer, ParseFailure)
    points = answer.points if isinstance(answer, CountAnswer) else None
    return {
        "failure": answer.reason if failed else None,
        "boxes": answer.boxes.tolist() if isinstance(answer, Answer) else [],
        "look_boxes": [] if failed else answer.look.tolist(),
        "think": None if failed else answer.think or None,
        "answer_count": answer.count if isinstance(answer, CountAnswer) else None,
        "answer_points": None if points is None else points.tolist(),
        "answer_text": answer.text if isinstance(answer, TextAnswer) else None,
    }
