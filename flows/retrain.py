"""The whole pipeline under Prefect: a task a stage. `python -m flows.retrain` needs no server.

A bare `dvc repro` afterwards finds nothing to do: both run the same stages on the same cache.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from components.errors import DataError
from components.home import lookout_home
from components.stages import QUIET

os.environ.update(QUIET)
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")  # a first start migrates its database
os.environ.setdefault("PREFECT_HOME", str(lookout_home() / "prefect"))

from prefect import flow, get_run_logger
from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact

from components.params import load_params
from components.quality.drift import drift_of
from components.report.gallery import png_uri
from components.summary import COLUMNS, scores
from flows.stage_task import StageFailed, run_stage, stage_names

REPORTS = Path("reports")


@flow(name="retrain", log_prints=False)
def retrain() -> str:
    """Runs every stage in the graph's order; says what was registered. Raises StageFailed with the stage's sentence."""
    logger = get_run_logger()
    params = load_params()
    cached = 0
    for stage in stage_names():
        cached += run_stage(stage)
        if stage.startswith("validate@"):
            drift = show_validation(stage.partition("@")[2])
            if drift is not None and drift["moved"]:
                logger.warning("%s has drifted: %s", drift["dataset"], ", ".join(drift["moved"]))
    logger.info("%d of %d stages were up to date", cached, len(stage_names()))
    show_scores()
    show_links(list(params.datasets))
    registration = json.loads((REPORTS / "registration.json").read_text())
    return f"{registration['model_uri']} (alias {registration['alias']})"


def show_validation(dataset: str) -> dict[str, Any] | None:
    """The artifact validation-<dataset>: counts, findings and drift in words. Hands the drift on, where there is any.

    A history that cannot be read (a cache that was cleaned) is said there and stops nothing.
    """
    content = json.loads((Path("data/validated") / dataset / "validation.json").read_text())
    findings = [check for check in content["checks"] if not check["success"]]
    lines = [f"# Validation of {dataset}: {'passed' if content['success'] else 'stopped'}", ""]
    lines += [f"- {key.replace('_', ' ')}: {value}" for key, value in content["counts"].items()]
    lines += [f"- refused one by one: {content['quarantined']}", "", "## Findings", ""]
    lines += [
        f"- {one['severity']}: {one['note']}: {one['unexpected_count']}, first {one['first']}" for one in findings
    ]
    moved, text = _drift(dataset)
    lines += ["", "## Since the previous version", "", text]
    create_markdown_artifact("\n".join(lines), key=f"validation-{dataset}".replace("_", "-").lower())
    return moved


def _drift(dataset: str) -> tuple[dict[str, Any] | None, str]:
    try:
        found = drift_of(dataset)
    except DataError as error:
        return None, f"cannot be said: {error}"
    if found is None:
        return None, "this is the first version."
    moved = ", ".join(f"{name} (PSI {found['population_stability'][name]:.2f})" for name in found["moved"])
    counts = ", ".join(f"{key.replace('_', ' ')} {pair['before']} -> {pair['after']}"
                       for key, pair in found["counts"].items() if pair["before"] != pair["after"])  # fmt: skip
    return found, f"moved: {moved or 'no distribution'}; counts: {counts or 'the same'}; since {found['revision']}"


def show_scores() -> None:
    """The artifacts scores (base, SFT, GRPO) and contact-sheet (test images with boxes)."""
    rows = [{"model": m} | dict(zip(COLUMNS, scores(m), strict=True)) for m in ("base", "sft", "grpo")]
    create_table_artifact(rows, key="scores")
    sheet = (REPORTS / "evaluation" / "contact_sheet.png").read_bytes()
    create_image_artifact(png_uri(sheet), key="contact-sheet", description="truth green, answer orange, look blue")


def show_links(datasets: list[str]) -> None:
    """The artifact links: where the pages lie."""
    registration = json.loads((REPORTS / "registration.json").read_text())
    pages = [
        REPORTS / "evaluation" / "report.html",
        *(REPORTS / "validation" / name / "index.html" for name in datasets),
    ]
    lines = [f"- [{page}]({page.resolve().as_uri()})" for page in pages]
    lines.append(f"- {registration['model_uri']}: `lookout trace {registration['model_uri']}`")
    create_markdown_artifact("\n".join(lines), key="links")


def main() -> None:
    """Runs the flow once; a stage's failure is one sentence and exit code 1."""
    try:
        retrain()
    except StageFailed as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
