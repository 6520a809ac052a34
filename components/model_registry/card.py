"""The model card: what a version is, what it was made of, how good it is, and what it cannot do."""

from __future__ import annotations

from components.core.class_words import counted
from components.core.dotted import value_at
from components.core.metrics_json import RecordedMetrics
from components.core.number_text import interval_text, number_text
from components.core.tasks import has_own_tables
from components.metrics.task import headline_of
from components.model_registry.lineage_types import Lineage
from components.store.left_out import left_out_lines

ROWS = (
    ("format rate", "format_rate"),
    ("precision", "detection.precision"),
    ("recall", "detection.recall"),
    ("F1 at .5", "detection.f1"),
    ("CrowdHuman JI", "crowdhuman.JI"),
    ("CrowdHuman MR⁻²", "crowdhuman.MR"),
    ("COCO AP50", "coco.AP50"),
)


def model_card(lineage: Lineage) -> str:
    """Markdown, for the version's README and its page in the registry."""
    grpo, base = lineage["metrics"]["grpo"], lineage["base"]
    data = "".join(
        f"| {name} | {one['role']} | {one['counts']['images']} | {'{} {}'.format(*counted(one['counts']))} | "
        f"{one['licence']} |\n"
        for name, one in lineage["data"].items()
    )
    left_out = "".join(f"- {line}.\n" for line in left_out_lines(lineage["prompt_summary"]))
    models = list(lineage["metrics"])
    numbers = "".join(
        f"| {name} | {' | '.join(number_text(value_at(lineage['metrics'][model], path)) for model in models)} |\n"
        for name, path in _rows(grpo)
    )
    best = headline_of(grpo)
    spread = f" (95 % over images {interval_text(best.interval)})" if best.interval else ""
    confidence = (
        f"AP and miss rates rank boxes by the confidence `{grpo['confidence']}`.\n\n" if "confidence" in grpo else ""
    )
    code = lineage["code"]
    warning = (
        "" if code["clean"] else "**The code was not committed when this was registered: it cannot be rebuilt.**\n\n"
    )
    return f"""# A policy that finds every person in a crowd

{warning}Trained with GRPO on {"one reward" if len(lineage["rewards"]["weights"]) == 1 else "the rewards"} \
{", ".join(f"{name} ({weight:g})" for name, weight in lineage["rewards"]["weights"].items())}, \
from the base {base["kind"]} `{base["name"]}`. {best.name} {number_text(best.value)}{spread} on {grpo["images"]} \
held-out images.

| dataset | role | images | asked for | licence |
|---|---|---|---|---|
{data}
{left_out}
| on the test images | {" | ".join(models)} |
|---|{"---|" * len(models)}
{numbers}
{confidence}**Limits.** It was measured on the data above and on nothing else. It counts and finds people in
pictures; it does not tell who they are, and must not be asked to. Where the licences above forbid a
use, they forbid it for this model.

**Lineage.** `{lineage["key"]}`, commit `{code["commit"]}`; `lookout trace` prints it,
`lookout verify` proves it.
"""


def _rows(metrics: RecordedMetrics) -> list[tuple[str, str]]:
    """Name and path of each number: detection's where there are any, and those of every other task."""
    rows = list(ROWS) if "detection" in metrics else [ROWS[0]]
    for task, one in metrics.get("tasks", {}).items():
        rows += [
            (f"{task}: {name}", f"tasks.{task}.numbers.{name}") for name in one["numbers"] if not has_own_tables(task)
        ]
    return rows
