"""The protocols: what papers and benchmarks measure of boxes with confidences, each under its own name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from components.core.metrics_json import Spread
from components.metrics.citypersons import citypersons_metrics
from components.metrics.coco import coco_metrics
from components.metrics.crowdhuman import CrowdView, crowdhuman_metrics
from components.metrics.detection import detection_metrics
from components.metrics.evaluation_set import EvaluationSet

Metrics = dict[str, dict[str, float | None]]


def _named(name: str, metric: Callable[[EvaluationSet], dict[str, float | None]]) -> Callable[[EvaluationSet], Metrics]:
    return lambda data: {name: metric(data)}


PROTOCOLS: dict[str, Callable[[EvaluationSet], Metrics]] = {
    "coco": coco_metrics,
    "crowdhuman": _named("crowdhuman", crowdhuman_metrics),
    "citypersons": _named("citypersons", citypersons_metrics),
    "detection": _named("detection", detection_metrics),
}
"""The protocols by name; COCO gives two tables, one at most 100 boxes an image and one at most 500."""

RANKED = ("coco", "coco_500", "crowdhuman", "citypersons")
"""Tables whose numbers depend on the confidences; `detection` does not."""


def all_metrics(data: EvaluationSet) -> Metrics:
    """Every protocol's tables."""
    return {name: table for protocol in PROTOCOLS.values() for name, table in protocol(data).items()}


def tie_shuffles(data: EvaluationSet, seeds: int) -> dict[str, Spread]:
    """Mean and sd (n - 1) of the ranked numbers over random orders among equal scores: `coco.AP`, `crowdhuman.MR`, ...

    Where all scores are equal the order of generation is the ranking; this says how much that decides. Empty where
    nothing was found or nobody is to be found.
    """
    drawn: dict[str, list[float]] = {}
    crowd = CrowdView(data)
    for seed in range(seeds):
        one = data.ties_broken(seed)
        tables = coco_metrics(one)["coco"], crowd.metrics(one.found.score)
        for table, numbers, names in zip(("coco", "crowdhuman"), tables, (("AP", "AP50"), ("AP", "MR")), strict=True):
            for name in names:
                value = numbers[name]
                if value is not None:
                    drawn.setdefault(f"{table}.{name}", []).append(value)
    spread = {name: (np.mean(values), np.std(values, ddof=1) if seeds > 1 else 0.0) for name, values in drawn.items()}
    return {name: {"mean": float(mean), "sd": float(sd)} for name, (mean, sd) in spread.items()}
