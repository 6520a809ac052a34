"""Raw completions -> parsed answers -> metrics, a row an image, and the curves to plot."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from pathlib import Path

from components.core.completion import ParseFailure
from components.core.metrics_json import BoxTables, Overall, TaskEntry
from components.core.reasons import around
from components.errors import DataError
from components.metrics.task import Table
from components.params.score import ScoreParams
from components.scoring.answers import Said, read_completions, read_samples
from components.scoring.rows import ScoreRows
from components.scoring.tasks import headline, score_task
from components.store.atomic import atomic_file, write_json
from components.store.json_file import read_json
from components.store.samples import read_sample, whole_row
from components.store.schemas.completions import PredictSummary
from components.store.schemas.metrics import BoxMetrics, Metrics, Unreadable
from components.store.schemas.prompts import PROMPTS
from components.store.tables import read_rows

log = logging.getLogger("lookout.score")


def run(model: str, prompts: Path, predictions: Path, out: Path, params: ScoreParams) -> Metrics:
    """Writes metrics.json, unreadable.json, the tables and plots/. Raises DataError on a mismatch."""
    samples = list(read_rows(prompts, PROMPTS))
    lines = read_completions(predictions / "completions.jsonl")
    names = [sample["sample_id"] for sample in samples]
    if [line["sample_id"] for line in lines] != names:
        raise DataError(f"{predictions} does not answer the samples of {prompts} in their order; run predict again")
    sampled = read_samples(predictions / "samples.jsonl", names)
    said = [
        Said(sample, line, read_sample(line["text"], sample), texts)
        for sample, line, texts in zip(samples, lines, sampled, strict=True)
    ]
    rows, plots, summaries = ScoreRows(), dict[str, Table](), dict[str, TaskEntry]()
    boxes: BoxTables | None = None
    for task, part in _by_task(said).items():
        scores = score_task(task, part, params)
        rows.add(scores, params.confidence)
        summaries[task] = scores.summary
        boxes = scores.beside or boxes
        plots |= scores.plots
    metrics: Metrics = {
        "model": model,
        "schema": "metrics/3",
        **_overall(summaries, rows, params),
        "prediction": _prediction(predictions),
    }
    if boxes is not None:
        metrics = BoxMetrics(**boxes, **metrics)
    rows.write(out)
    (out / "plots").mkdir(parents=True, exist_ok=True)  # DVC wants it, also of a task that has no curve
    for name, table in plots.items():
        _write_csv(out / "plots" / f"{name}.csv", table)
    write_json(out / "unreadable.json", _unreadable(said))
    write_json(out / "metrics.json", metrics)
    return metrics


def _by_task(said: list[Said]) -> dict[str, list[Said]]:
    """Each task's samples, in the order of the tasks' first sample."""
    parts: dict[str, list[Said]] = {}
    for one in said:
        parts.setdefault(one.sample["task"], []).append(one)
    return parts


def _unreadable(said: list[Said]) -> dict[str, Unreadable]:
    """Sample, or image of tiles -> reason, place and text of an answer that cannot be read; of tiles the first."""
    found: dict[str, Unreadable] = {}
    for one in said:
        if isinstance(one.answer, ParseFailure):
            before, after = around(one.line["text"], one.answer.offset)
            why = Unreadable(reason=one.answer.reason, offset=one.answer.offset, before=before, after=after)
            found.setdefault(whole_row(one.sample)["sample_id"], why)
    return found


def _overall(summaries: dict[str, TaskEntry], rows: ScoreRows, params: ScoreParams) -> Overall:
    """What the file says of all tasks together; of one task alone it is that task's."""
    failures = sum((Counter(one["failures"]) for one in summaries.values()), Counter[str]())
    names = [one["headline"]["name"] for one in summaries.values()]
    return {
        "images": len(rows.per_image),
        "format_rate": 1 - failures.total() / sum(one["samples"] for one in summaries.values()),
        "failures": dict(failures),
        "tasks": summaries,
        "headline": headline(" and ".join(names) + (", pooled" if len(names) > 1 else ""), rows.counts, params),
    }


def _prediction(predictions: Path) -> PredictSummary | None:
    """Throughput and cut answers, as predict measured them."""
    path = predictions / "summary.json"
    return read_json(path) if path.exists() else None


def _write_csv(path: Path, rows: Table) -> None:
    """A blank cell is an undefined number. Without rows the file has no header either."""
    with atomic_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
