"""What the registry's database is told of a version at registration: tags, parameters, numbers."""

from __future__ import annotations

import json
import re

from components.core.dotted import leaves
from components.core.metrics_json import RecordedMetrics
from components.metrics.task import headline_of
from components.model_registry.lineage_types import Lineage
from components.model_registry.registry import KEY_TAG

NOT_A_KEY = re.compile(r"[^\w. :/-]")  # MLflow refuses such a name: a class map may say `*` or `person (other)`


def version_tags(lineage: Lineage) -> dict[str, str]:
    """What a version is searched by."""
    best = headline_of(lineage["metrics"]["grpo"])
    dirty = (
        {}
        if lineage["code"]["clean"]
        else {"lookout.DIRTY": f"code was not committed, diff {lineage['code']['diff_sha256']}"}
    )
    return dirty | {
        KEY_TAG: lineage["key"],
        "lookout.commit": str(lineage["code"]["commit"]),
        "lookout.clean": str(lineage["code"]["clean"]).lower(),
        "lookout.datasets": ",".join(f"{name}:{data['dvc_md5']}" for name, data in sorted(lineage["data"].items())),
        "lookout.prompts": ",".join(sorted(lineage["prompts"].values())),
        "lookout.rewards": json.dumps(lineage["rewards"], sort_keys=True),
        "lookout.base": lineage["base"]["sha256"].get("model.safetensors", lineage["base"]["name"]),
        "lookout.weights": ",".join(lineage["weights"].values()),
        "lookout.seeds": json.dumps(lineage["seeds"], sort_keys=True),
        "lookout.libraries": json.dumps(lineage["environment"]["libraries"], sort_keys=True),
        "lookout.f1": f"{best.value or 0:.4f}",
        "lookout.headline": best.name,
    }


def run_params(lineage: Lineage) -> dict[str, object]:
    """The run's parameters by their dotted names."""
    flat = leaves({**lineage["params"], "rewards": lineage["rewards"]})
    return {NOT_A_KEY.sub("_", name): value for name, value in flat.items()}


def run_metrics(lineage: Lineage) -> dict[str, float]:
    """Scores of the three models by their dotted names, and a dozen of them apart: MLflow groups what has a `/`."""
    return _headlines(lineage["metrics"]) | {
        f"{model}.{NOT_A_KEY.sub('_', name)}": float(value)
        for model, metrics in lineage["metrics"].items()
        for name, value in leaves(metrics).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _headlines(metrics: dict[str, RecordedMetrics]) -> dict[str, float]:
    """`headline/<model> <number>`: what each model is judged by."""
    found: dict[str, float | None] = {}
    for model, one in metrics.items():
        best = headline_of(one)
        found |= {f"headline/{model} {NOT_A_KEY.sub('_', best.name)}": best.value,
                  f"headline/{model} format rate": one.get("format_rate"),
                  f"headline/{model} precision": one.get("detection", {}).get("precision"),
                  f"headline/{model} COCO AP": one.get("coco", {}).get("AP")}  # fmt: skip
    return {name: float(value) for name, value in found.items() if value is not None}
