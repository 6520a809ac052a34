"""What the demo prints at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.core.number_text import number_text
from components.core.tasks import has_own_tables
from components.core.words import MODELS
from components.errors import DataError
from components.machine.terminal import plain
from components.model_registry.address import mlflow_uri
from components.params.whole import load_params
from components.store.json_file import read_json

REPORTS = Path("reports")


def print_summary() -> None:
    """The table base / sft / grpo, the version registered, and where to look. Raises DataError before a first run."""
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True, highlight=False, markup=False)
    rows = {model: scores(model) for model in MODELS}
    table = Table("", *rows["grpo"])
    for model, row in rows.items():
        table.add_row(model, *row.values())
    console.print(table)
    registration = _read(REPORTS / "registration.json")
    for line in versions(registration):
        console.print(line)
    console.print(f"report       {REPORTS / 'evaluation' / 'report.html'}")
    for name in load_params().datasets:
        console.print(f"validation   {REPORTS / 'validation' / name / 'index.html'} (with links to the Data Docs)")
    console.print(f"lineage      .venv/bin/lookout trace {registration['model_uri']}")
    console.print(f"MLflow       .venv/bin/mlflow ui --backend-store-uri {mlflow_uri()}")
    console.print("             choose Model training in its menu; a run's numbers under `headline` come first")
    console.print(
        "Prefect      make up, then http://127.0.0.1:4200 with the password that it prints; make down ends it"
    )


def versions(registration: dict[str, Any]) -> list[str]:
    """What the registry knows: the version of the table above, the newest where it is another one, the champion."""
    from components.model_registry.recall import warning
    from components.model_registry.registry import alias_version, connect, registered_versions, uri_of

    client, name = connect(), registration["name"]
    lines = [f"registered   {registration['model_uri']} (the table's; alias {registration['alias']})"]
    newest = next((version for version in registered_versions(client) if version.name == name), None)
    if newest is None:
        return [*lines, "newest       the registry holds no version of it: `lookout register` repairs that"]
    if uri_of(newest) != registration["model_uri"]:
        lines.append(f"newest       {uri_of(newest)} (from another run: `lookout trace {uri_of(newest)}`)")
    champion = alias_version(client, name, "champion")
    named = (
        f"{uri_of(champion)}" if champion is not None else f"nobody yet; lookout promote {registration['model_uri']}"
    )
    shown = [version for version in (newest, champion) if version is not None]
    said = {uri_of(version): warning(version) for version in shown}
    recalled = [f"RECALLED     {uri}: {plain(text)}" for uri, text in said.items() if text]
    return [*lines, f"champion     {named}", *recalled]


def scores(model: str) -> dict[str, str]:
    """The row of one model as text, by its columns: what its tasks are judged by."""
    metrics = _read(REPORTS / "scores" / model / "metrics.json")
    values: dict[str, float | None] = {"format rate": metrics["format_rate"]}
    if "detection" in metrics:
        found, coco = metrics["detection"], metrics["coco"]
        values |= {"precision": found["precision"], "recall": found["recall"], "F1 at .5": found["f1"]}
        values |= {"COCO AP": coco["AP"], "COCO AP50": coco["AP50"]}
    for task, one in metrics["tasks"].items():
        if not has_own_tables(task):
            values |= {f"{task}: {name.replace('_', ' ')}": value for name, value in one["numbers"].items()}
    return {name: number_text(value) for name, value in values.items()}


def _read(path: Path) -> Any:
    if not path.exists():
        raise DataError(f"{path} is not there: the pipeline has not run to its end; `make demo` or `dvc repro` does")
    return read_json(path)
