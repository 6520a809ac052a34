"""The page's parts on tasks beside detection: titles, tables, curves."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from components.report import tables
from components.report.curves import csv_line
from components.report.plots import chart

Row = dict[str, Any]
Metrics = dict[str, Row]
"""metrics.json by model, in the order base, SFT, GRPO."""
TITLES = {"detect": "Seeing every person", "ground": "Finding what is meant", "count": "Counting", "read": "Reading"}
MEASURED = {
    "detect": "Precision, recall and F1 are pooled over images, optimal matching at IoU 0.5; an unreadable answer "
    "counts as no boxes.",
    "ground": "A sentence is found where its one box overlaps the true one by IoU 0.5 or more.",
    "count": "A count is right where the number is; an unreadable answer never is, and counts as 0 in the errors.",
    "read": "Edit distance is over the longer text; words are compared as sets; BLEU is of 1- to 4-grams without "
    "smoothing, METEOR of equal words and stems without synonyms, both means over pages; an unreadable answer says "
    "nothing.",
}
SHARE = (0.0, 1.0)
CHARTS: dict[str, tuple[tuple[str, str, str, str, str, tuple[float, float] | None], ...]] = {
    "count": (
        ("Exact by the true count", "by_true_count", "count", "exact", "true count", SHARE),
        ("Mean count said by the true count", "by_true_count", "count", "mean_said", "true count", None),
    ),
    "ground": (("Accuracy by IoU threshold", "accuracy_by_iou", "iou", "accuracy", "IoU", SHARE),),
    "read": (
        ("Exact by length", "by_true_length", "characters_from", "exact", "characters, from", SHARE),
        ("Edit distance by length", "by_true_length", "characters_from", "edit_distance", "characters, from", SHARE),
    ),
}
"""task -> its charts: title, file, columns of x and y, label of x, range of y."""


def title(metrics: Metrics, kinds: set[str]) -> str:
    """The page's heading; `kinds` are the labels of what detection is to find."""
    titles = TITLES if len(kinds) < 2 else TITLES | {"detect": f"Seeing everything of {len(kinds)} kinds"}
    return ", ".join(titles[task] for task in _tasks(metrics))


def how_measured(metrics: Metrics) -> str:
    """A sentence a task: what counts as right."""
    return " ".join(MEASURED[task] for task in _tasks(metrics))


def numbers(metrics: Metrics) -> str:
    """Every task's table of the three models."""
    names = _tasks(metrics)
    detection = tables.headline(metrics) if "detect" in names else ""
    return detection + "".join(_table(name, metrics) for name in names if name != "detect")


def parts(scores: Path, metrics: Metrics) -> str:
    """The other tasks by dataset, and their curves."""
    names = [name for name in _tasks(metrics) if name != "detect"]
    found = "".join(_by_dataset(name, metrics) for name in names)
    charts = "".join(
        chart(heading, [csv_line(model, scores / model / "plots" / f"{file}.csv", x, y) for model in metrics], label,
              limits, dots=True)
        for name in names
        for heading, file, x, y, label, limits in CHARTS.get(name, ())
    )  # fmt: skip
    figures = f'<section><h2>Where it is right</h2><div class="charts">{charts}</div></section>' if charts else ""
    return f"{found}{figures}"


def _tasks(metrics: Metrics) -> list[str]:
    return list(list(metrics.values())[-1]["tasks"])


def _table(name: str, metrics: dict[str, Row]) -> str:
    """One task's numbers, base, SFT and GRPO on the same samples."""
    parts = {model: one["tasks"][name] for model, one in metrics.items()}
    columns = list(parts[next(iter(parts))]["numbers"])
    rows = [
        [model, _number(one["format_rate"]), *(_number(one["numbers"][key]) for key in columns), _interval(one)]
        for model, one in parts.items()
    ]
    last = list(parts.values())[-1]
    heads = ["model", "format rate", *(key.replace("_", " ") for key in columns)]
    heads.append(f"{html.escape(last['headline']['name'])}, 95 %")
    unreadable = ", ".join(f"{model} {sum(one['failures'].values())}" for model, one in parts.items())
    notes = "".join(f" {html.escape(note[0].upper() + note[1:])}." for note in last["notes"])
    return (
        tables.table(f"Numbers of the task {name}", heads, rows)
        + f"<p class='note'>{last['samples']} questions; unreadable answers: {unreadable}. The interval is a 95 % "
        f"bootstrap over them.{notes}</p>"
    )


def _by_dataset(name: str, metrics: dict[str, Row]) -> str:
    """One task's numbers by dataset; empty where there is one dataset only."""
    parts = {model: one["tasks"][name]["datasets"] for model, one in metrics.items()}
    sources = list(next(iter(parts.values())))
    if len(sources) < 2:
        return ""
    columns = list(next(iter(parts.values()))[sources[0]])
    rows = [
        [html.escape(source), model, *(_number(one[source][key]) for key in columns)]
        for source in sources
        for model, one in parts.items()
    ]
    heads = ["dataset", "model", *(key.replace("_", " ") for key in columns)]
    return f"<section><h2>By dataset</h2>{tables.table(f'{name} by dataset', heads, rows)}</section>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(part: Row) -> str:
    ends = part["headline"]["interval"]
    return f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "–"
