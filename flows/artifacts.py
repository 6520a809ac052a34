"""What people read in Prefect's pages: validation, scores, gates, pictures, links."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact
from prefect.events import emit_event
from prefect.states import Completed, State

from components.core.number_text import interval_text
from components.core.words import MODELS
from components.errors import DataError
from components.machine.home import lookout_home
from components.metrics.task import headline_of
from components.operations.summary import scores
from components.operations.up import mlflow_page, page_link
from components.quality.drift import DriftSince, drift_of
from components.store.image_uris import content_uri
from components.store.json_file import read_json

REPORTS = Path("reports")
WORST = 10


def show_validation(dataset: str, stopped: bool = False) -> DriftSince | None:
    """The artifact validation-<dataset>: counts, findings and drift in words. Hands the drift on, where there is any.

    stopped: the stage has failed, so that it is read from where it is kept. A history that cannot be read (a cache
    that was cleaned) is said there and stops nothing.
    """
    folder = lookout_home() / "validation" if stopped else Path("data/validated")
    content = read_json(folder / dataset / "validation.json")
    findings = sorted((check for check in content["checks"] if not check["success"]),
                      key=lambda one: (one["severity"] != "critical", -(one["unexpected_count"] or 0)))  # fmt: skip
    lines = [f"# Validation of {dataset}: {'passed' if content['success'] else 'stopped'}", ""]
    lines += [f"- {key.replace('_', ' ')}: {value}" for key, value in content["counts"].items()]
    lines += [f"- refused one by one: {content['quarantined']}", "", f"## Findings: {len(findings)}", ""]
    lines += [
        f"- **{one['severity']}**: {one['note']}: {one['unexpected_count']}, first {one['first']}"
        for one in findings[:WORST]
    ]
    moved, text = _drift(dataset) if not stopped else (None, "not looked at: nothing of it goes on.")
    lines += ["", "## Since the previous version", "", text]
    if stopped:
        page = folder / dataset / "report" / "index.html"
        lines += ["", page_link("The report, with pictures", page)]
    create_markdown_artifact("\n".join(lines), key=f"validation-{_key(dataset)}")
    return moved


def _key(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def _drift(dataset: str) -> tuple[DriftSince | None, str]:
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
    """The artifacts scores (base, SFT, GRPO, with F1's interval) and contact-sheet (test images with boxes)."""
    rows: list[dict[str, str]] = []
    for model in MODELS:
        metrics = read_json(REPORTS / "scores" / model / "metrics.json")
        best = headline_of(metrics)
        rows.append({"model": model} | scores(model) | {f"{best.name}, 95 %": interval_text(best.interval)})
    create_table_artifact(rows, key="scores")
    sheet = (REPORTS / "evaluation" / "contact_sheet.png").read_bytes()
    create_image_artifact(
        content_uri(sheet, "PNG"), key="contact-sheet", description="truth green, answer orange, look blue"
    )


def show_gates(outcome: dict[str, Any]) -> str:
    """The artifact gates: the version beside the champion, gate by gate, failed ones first; its text."""
    rows = "".join(
        f"| {'passed' if gate['passed'] else '**failed**'} | {gate['name']} | {gate['seen']} | {gate['wanted']} |\n"
        for gate in sorted(outcome["gates"], key=lambda one: one["passed"])
    )
    head = f"# {outcome['version']} beside {outcome['before'] or 'no champion yet'}"
    text = f"{head}\n\n| | gate | seen | wanted |\n|---|---|---|---|\n{rows or '| passed | it is the champion | | |'}\n"
    create_markdown_artifact(text, key="gates")
    return text


def done(sentence: str, name: str = "Completed") -> State[str]:
    """The end of a flow that went well: what it came to stands in the list of runs."""
    return Completed(name=name, message=sentence, data=sentence)


def tell(event: str, about: str, sentence: str) -> None:
    """An event that automations listen to, with the sentence that a webhook passes on."""
    emit_event(event, {"prefect.resource.id": about, "prefect.resource.name": sentence})


def show_links(datasets: list[str]) -> None:
    """The artifact links: report, Data Docs, MLflow's run and version, lineage; they outlive a worktree."""
    from components.model_registry.registry import connect

    registration = read_json(REPORTS / "registration.json")
    run = connect().get_run(registration["run_id"])
    root = run.info.artifact_uri
    files = ["reports/evaluation/report.html", *(f"reports/validation/{name}/index.html" for name in datasets),
             "statement.json"]  # fmt: skip
    lines = [f"- {_stored(root, name)}" for name in files]
    page = mlflow_page()
    if page is not None:
        lines.append(f"- [MLflow run]({page}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id})")
        lines.append(f"- [MLflow version]({page}/#/models/{registration['name']}/versions/{registration['version']})")
    uri = registration["model_uri"]
    lines.append(f"- lineage of {uri}: `lookout trace {uri}`, `lookout trace {uri} --html lineage.html`")
    create_markdown_artifact("\n".join(lines), key="links")


def _stored(root: str, name: str) -> str:
    """A file that the registry keeps of a run: a link where a browser can follow it."""
    if root.startswith("file://"):
        return page_link(name, Path(unquote(urlsplit(root).path)) / name)
    return f"[{name}]({root}/{name})" if root.startswith("http") else f"{name}: `{root}/{name}`"
