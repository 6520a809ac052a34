"""What the demo prints at its end."""

from __future__ import annotations

import json
from pathlib import Path

from components.errors import DataError
from components.home import mlflow_uri
from components.params import load_params

REPORTS = Path("reports")
COLUMNS = ("format rate", "precision", "recall", "F1 at .5", "COCO AP", "COCO AP50")


def print_summary() -> None:
    """The table base / sft / grpo, the version registered, and where to look. Raises DataError before a first run."""
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True, highlight=False)
    table = Table("", *COLUMNS)
    for model in ("base", "sft", "grpo"):
        table.add_row(model, *scores(model))
    console.print(table)
    registration = json.loads(_read(REPORTS / "registration.json"))
    console.print(f"registered   {registration['model_uri']} (alias {registration['alias']})")
    console.print(f"report       {REPORTS / 'evaluation' / 'report.html'}")
    for name in load_params().datasets:
        console.print(f"validation   {REPORTS / 'validation' / name / 'index.html'} (with links to the Data Docs)")
    console.print(f"lineage      .venv/bin/lookout trace {registration['model_uri']}")
    console.print(f"MLflow       .venv/bin/mlflow ui --backend-store-uri {mlflow_uri()}")
    console.print("Prefect      make up, then http://127.0.0.1:4200; make down ends it")


def scores(model: str) -> list[str]:
    """The row of one model, as text."""
    metrics = json.loads(_read(REPORTS / "scores" / model / "metrics.json"))
    found, coco = metrics["detection"], metrics["coco"]
    values = [metrics["format_rate"], found["precision"], found["recall"], found["f1"], coco["AP"], coco["AP50"]]
    return ["–" if value is None else f"{value:.3f}" for value in values]


def _read(path: Path) -> str:
    if not path.exists():
        raise DataError(f"{path} is not there: the pipeline has not run to its end; `make demo` or `dvc repro` does")
    return path.read_text()
