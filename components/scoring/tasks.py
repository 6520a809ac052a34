"""What was said of one task's samples -> the task's numbers, its curves, and each image with its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from components.core.completion import ParseFailure
from components.core.grammars import AnyParsed
from components.core.metrics_json import BoxTables, HeadlineEntry, TaskEntry, TaskSummary
from components.metrics import TASK_METRICS
from components.metrics.detection import ImageCounts, f1_interval, pooled
from components.metrics.task import Table, TaskMetric, TaskNumbers
from components.params.score import ScoreParams
from components.scoring.answers import ImageAnswer, Said, image_answers


@dataclass(frozen=True, slots=True, eq=False)
class TaskScores:
    """`summary` is the task's entry in metrics.json, `beside` what stands there outside of it; `plots` the curves.

    `images`: one a sample, or one for all tiles of an image; `counts` their parts of the headline.
    """

    summary: TaskEntry
    beside: BoxTables | None
    images: list[ImageAnswer]
    counts: list[ImageCounts]
    plots: dict[str, Table]


def score_task(task: str, said: Sequence[Said], params: ScoreParams) -> TaskScores:
    """said: the task's samples in the prompts' order. Raises DataError where they are not what the task measures."""
    metric = TASK_METRICS[task]
    images = image_answers(said, params, metric.ranked)
    numbers = metric.measure([image.judged for image in images], params)
    summary: TaskEntry = {**task_summary(metric, numbers, [one.answer for one in said], params)}
    if numbers.datasets is not None:
        summary["notes"], summary["datasets"] = list(numbers.notes), numbers.datasets
    return TaskScores(summary, numbers.beside, images, numbers.counts, numbers.plots)


def task_summary(
    metric: TaskMetric, numbers: TaskNumbers, answers: Iterable[AnyParsed], params: ScoreParams
) -> TaskSummary:
    """One task's entry in metrics.json; every task has these keys. answers: one a sample, tiles too."""
    readable = [answer.reason if isinstance(answer, ParseFailure) else None for answer in answers]
    failures = Counter(reason for reason in readable if reason is not None)
    return {
        "samples": len(readable),
        "format_rate": 1 - failures.total() / len(readable),
        "failures": dict(failures),
        "headline": headline(metric.headline, numbers.counts, params),
        "numbers": numbers.table,
    }


def headline(name: str, counts: Sequence[ImageCounts], params: ScoreParams) -> HeadlineEntry:
    """The one number that models are compared by, and its 95 % bootstrap interval over samples."""
    interval = f1_interval(counts, params.bootstrap_samples, params.seed)
    return {"name": name, "value": pooled(counts)["f1"], "interval": list(interval) if interval else None}
