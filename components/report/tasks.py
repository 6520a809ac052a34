"""How each task is shown: titles, captions, tables, curves."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from components.core.number_text import interval_text, number_text
from components.params.datasets import Datasets
from components.report import captions, detection, tables
from components.report.captions import Caption, Meant
from components.report.curves import csv_line
from components.report.plots import SHARE, chart
from components.store.schemas.metrics import Metrics
from components.store.schemas.prompts import PromptRow

ByModel = dict[str, Metrics]
"""metrics.json by model, in the order base, SFT, GRPO."""
Sections = Callable[[Path, ByModel, Datasets, list[PromptRow]], str]
"""(folder of scores, metrics, the section datasets of params.yaml, test samples) -> HTML."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Column y over column x of a file in plots/, a line a model; `label` is of x, `limits` of y."""

    title: str
    file: str
    x: str
    y: str
    label: str
    limits: tuple[float, float] | None = SHARE


@dataclass(frozen=True, slots=True)
class TaskPage:
    """How a task is shown: `title` in the page's heading, `measured` says what counts as right, in a sentence.

    `columns` of a study's table beside the headline: title -> dotted path in metrics.json.
    """

    title: str
    measured: str
    caption: Caption
    meant: Meant
    columns: dict[str, str] = field(default_factory=dict[str, str])
    charts: tuple[Chart, ...] = ()
    title_of_kinds: str = ""
    """The title where things of several kinds are to be found; {kinds} is their number."""
    table: Callable[[ByModel], str] | None = None
    """Its table of the three models, where it is not the usual one."""
    sections: Sections | None = None
    """Its sections, in place of the usual table by dataset."""


TASK_PAGES: dict[str, TaskPage] = {
    "detect": TaskPage(
        "Seeing every person",
        "Precision, recall and F1 are pooled over images, optimal matching at IoU 0.5; an unreadable answer counts as "
        "no boxes.",
        captions.boxes_caption,
        captions.things_meant,
        {
            "precision": "detection.precision",
            "recall": "detection.recall",
            "AP50": "coco.AP50",
            "count error": "detection.count_mae",
        },
        title_of_kinds="Seeing everything of {kinds} kinds",
        table=tables.headline,
        sections=detection.sections,
    ),
    "ground": TaskPage(
        "Finding what is meant",
        "A sentence is found where its one box overlaps the true one by IoU 0.5 or more.",
        captions.sentence_caption,
        captions.sentence_meant,
        {"mean IoU": "tasks.ground.numbers.mean_iou"},
        (Chart("Accuracy by IoU threshold", "accuracy_by_iou", "iou", "accuracy", "IoU"),),
    ),
    "count": TaskPage(
        "Counting",
        "A count is right where the number is; an unreadable answer never is, and counts as 0 in the errors.",
        captions.count_caption,
        captions.number_meant,
        {"within 1": "tasks.count.numbers.within_1", "mean error": "tasks.count.numbers.mae"},
        (
            Chart("Exact by the true count", "by_true_count", "count", "exact", "true count"),
            Chart("Mean count said by the true count", "by_true_count", "count", "mean_said", "true count", None),
        ),
    ),
    "read": TaskPage(
        "Reading",
        "Edit distance is over the longer text; words are compared as sets; BLEU is of 1- to 4-grams without "
        "smoothing, METEOR of equal words and stems without synonyms, both means over pages; an unreadable answer says "
        "nothing.",
        captions.text_caption,
        captions.text_meant,
        {
            "edit distance": "tasks.read.numbers.edit_distance",
            "exact": "tasks.read.numbers.exact",
            "F1, mean over pages": "tasks.read.numbers.f1",
        },
        (
            Chart("Exact by length", "by_true_length", "characters_from", "exact", "characters, from"),
            Chart("Edit distance by length", "by_true_length", "characters_from", "edit_distance", "characters, from"),
        ),
    ),
}
"""What each task looks like in the report and in a study's table."""


def title(metrics: ByModel, kinds: set[str]) -> str:
    """The page's heading; `kinds` are the labels of what detection is to find."""
    pages = [TASK_PAGES[task] for task in _tasks(metrics)]
    many = len(kinds) > 1
    return ", ".join(
        page.title_of_kinds.format(kinds=len(kinds)) if many and page.title_of_kinds else page.title for page in pages
    )


def how_measured(metrics: ByModel) -> str:
    """A sentence a task: what counts as right."""
    return " ".join(TASK_PAGES[task].measured for task in _tasks(metrics))


def numbers(metrics: ByModel) -> str:
    """Every task's table of the three models."""
    own = [table(metrics) for task in _tasks(metrics) if (table := TASK_PAGES[task].table)]
    return "".join([*own, *(_table(task, metrics) for task in _tasks(metrics) if not TASK_PAGES[task].table)])


def parts(scores: Path, metrics: ByModel, given: Datasets, samples: list[PromptRow]) -> str:
    """Every task's own sections; then the other tasks by dataset, and their curves."""
    pages = {task: TASK_PAGES[task] for task in _tasks(metrics)}
    own = "".join(page.sections(scores, metrics, given, samples) for page in pages.values() if page.sections)
    found = "".join(_by_dataset(task, metrics) for task, page in pages.items() if not page.sections)
    charts = "".join(
        chart(one.title, [csv_line(model, scores / model / "plots" / f"{one.file}.csv", one.x, one.y)
                          for model in metrics], one.label, one.limits, dots=True)
        for page in pages.values()
        for one in page.charts
    )  # fmt: skip
    figures = f'<section><h2>Where it is right</h2><div class="charts">{charts}</div></section>' if charts else ""
    return f"{own}{found}{figures}"


def _tasks(metrics: ByModel) -> list[str]:
    return list(list(metrics.values())[-1]["tasks"])


def _table(name: str, metrics: ByModel) -> str:
    """One task's numbers, base, SFT and GRPO on the same samples."""
    parts = {model: one["tasks"][name] for model, one in metrics.items()}
    columns = list(parts[next(iter(parts))]["numbers"])
    rows = [
        [model, *map(number_text, (one["format_rate"], *(one["numbers"][key] for key in columns))),
         interval_text(one["headline"]["interval"])]
        for model, one in parts.items()
    ]  # fmt: skip
    last = list(parts.values())[-1]
    heads = ["model", "format rate", *(key.replace("_", " ") for key in columns)]
    heads.append(f"{html.escape(last['headline']['name'])}, 95 %")
    unreadable = ", ".join(f"{model} {sum(one['failures'].values())}" for model, one in parts.items())
    notes = "".join(f" {html.escape(note[0].upper() + note[1:])}." for note in last.get("notes", ()))
    return (
        tables.table(f"Numbers of the task {name}", heads, rows)
        + f"<p class='note'>{last['samples']} questions; unreadable answers: {unreadable}. The interval is a 95 % "
        f"bootstrap over them.{notes}</p>"
    )


def _by_dataset(name: str, metrics: ByModel) -> str:
    """One task's numbers by dataset; empty where there is one dataset only."""
    parts = {model: one["tasks"][name].get("datasets", {}) for model, one in metrics.items()}
    first = next(iter(parts.values()))
    if len(first) < 2:
        return ""
    columns = list(next(iter(first.values())))
    rows = [
        [html.escape(source), model, *(number_text(one[source][key]) for key in columns)]
        for source in first
        for model, one in parts.items()
    ]
    heads = ["dataset", "model", *(key.replace("_", " ") for key in columns)]
    return f"<section><h2>By dataset</h2>{tables.table(f'{name} by dataset', heads, rows)}</section>"
