"""The page's sections on detection: boxes with confidences, in crowds of people."""

from __future__ import annotations

from pathlib import Path

from components.core.tasks import TASKS
from components.metrics.citypersons import SUBSETS
from components.params.datasets import Datasets
from components.report import tables
from components.report.curves import csv_line, read_csv
from components.report.plots import SHARE, Line, chart
from components.store.schemas.metrics import Metrics
from components.store.schemas.prompts import PromptRow

UNDEFINED = "no point to draw: every group lacks either people or boxes, so the number is undefined"


def sections(scores: Path, metrics: dict[str, Metrics], given: Datasets, samples: list[PromptRow]) -> str:
    """What only boxes with confidences have: crowds, datasets, where it is right, how sure it may be."""
    last, boxes = list(metrics)[-1], tables.of_boxes(metrics)
    return f"""<section><h2>Crowds</h2>{tables.crowd(metrics, subset_people(samples))}</section>
<section><h2>By dataset</h2>{tables.datasets(boxes, _roles(given))}</section>
<section><h2>Where it is right</h2><div class="charts">{_score_charts(scores, list(metrics))}</div></section>
<section><h2>How sure it may be</h2>{tables.confidences(boxes[last])}
<div class="charts">{_reliability_charts(scores, last)}</div></section>
"""


def subset_people(samples: list[PromptRow]) -> dict[str, int]:
    """How many people each of CityPersons' subsets has to find among the samples of detection."""
    people = [
        (box[3] - box[1], seen)
        for sample in samples
        if TASKS[sample["task"]].finds_all
        for box, seen in zip(
            sample["truth_boxes"], sample["truth_visible_frac"] or [1.0] * len(sample["truth_boxes"]), strict=True
        )  # of a tiled image it is not known
    ]
    return {
        name: sum(
            low <= height <= high and least <= seen <= most
            for (low, high), (least, most) in [(subset.heights, subset.visible)]
            for height, seen in people
        )
        for name, subset in SUBSETS.items()
    }


def _roles(given: Datasets) -> dict[str, str]:
    words = {"eval": "out of domain: not trained on", "train": "trained on", "both": "in domain: trained on"}
    return {name: words[dataset.role] for name, dataset in given.items()}


def _score_charts(scores: Path, models: list[str]) -> str:
    wanted = (
        ("F1 by IoU threshold", "f1_by_iou", "iou", "f1", "IoU"),
        ("Precision over recall at IoU .5", "pr_curve", "recall", "precision", "recall"),
        ("F1 by people in the image", "by_crowd_size", "from", "f1", "people, from"),
        ("F1 by height", "by_height", "from", "f1", "px, from"),
        ("Recall by how much of a person is seen", "by_visible", "from", "recall", "visible share, from"),
    )
    return "".join(
        chart(
            title, [csv_line(model, scores / model / "plots" / f"{name}.csv", x, y) for model in models],
            label, SHARE, dots=x == "from", empty=UNDEFINED,
        )
        for title, name, x, y, label in wanted
    )  # fmt: skip


def _reliability_charts(scores: Path, model: str) -> str:
    rows = read_csv(scores / model / "plots" / "reliability.csv")
    names = list(dict.fromkeys(row["of"] for row in rows))
    lines = [
        Line(name, [(float(row["confidence"]), float(row["precision"])) for row in rows if row["of"] == name])
        for name in names
    ]
    told = Line("as it says", [(0.0, 0.0), (1.0, 1.0)])
    figure = chart(f"Share of right boxes by confidence, {model}", [told, *lines], "confidence", SHARE, dots=True)
    return figure if lines else ""
