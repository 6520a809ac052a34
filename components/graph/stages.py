"""The stages of dvc.yaml, in the order in which it writes them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from components.errors import ParamsError
from components.params.reading import load_raw

DVC_FILE = Path("dvc.yaml")


def stage_bodies() -> dict[str, Any]:
    """Stage -> what dvc.yaml says of it; to be read only."""
    return _parsed(DVC_FILE.read_text())["stages"]


@lru_cache(maxsize=4)
def _parsed(text: str) -> Any:
    return YAML(typ="safe").load(text)


def stage_names() -> list[str]:
    """Every stage in the graph's order as dvc.yaml writes it, foreach stages one by one. Raises ParamsError."""
    values = load_raw()
    return [name for stage, body in stage_bodies().items() for name in _expanded(stage, body, values)]


def _expanded(stage: str, body: dict[str, Any], values: dict[str, Any]) -> Iterator[str]:
    if "foreach" not in body:
        yield stage
        return
    items = body["foreach"]
    if isinstance(items, str):
        key = items.strip("${}")
        if key not in values:
            raise ParamsError(f"dvc.yaml runs {stage} for each of {key}:, which params.yaml does not have")
        items = values[key]
    yield from (f"{stage}@{item}" for item in items)
