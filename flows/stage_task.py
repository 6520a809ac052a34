"""One stage of dvc.yaml as one Prefect task: its own log streamed, its own sentence when it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from ruamel.yaml import YAML

from components.errors import LookoutError, ParamsError
from components.params import load_raw

DVC_FILE = Path("dvc.yaml")
CACHED = "didn't change, skipping"


class StageFailed(LookoutError):  # noqa: N818  (what Prefect shows as the reason)
    """A stage ended with an error; the text is the stage's own sentence."""


def stage_names() -> list[str]:
    """Every stage in the graph's order as dvc.yaml writes it, foreach stages one by one."""
    graph, values = YAML(typ="safe").load(DVC_FILE.read_text()), load_raw()
    return [name for stage, body in graph["stages"].items() for name in _expanded(stage, body, values)]


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


# Prefect's cache and DVC's would disagree: DVC alone says what is up to date
@task(name="stage", task_run_name="{stage}", cache_policy=NO_CACHE)
def run_stage(stage: str) -> bool:
    """Runs `dvc repro --single-item`; True where DVC found nothing to do. Raises StageFailed."""
    logger = get_run_logger()
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "--single-item", stage],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )
    lines: list[str] = []
    try:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            logger.info(lines[-1])
        code = process.wait()
    finally:
        if process.poll() is None:  # cancelled: nothing of the stage may go on behind our back
            os.killpg(process.pid, signal.SIGTERM)
    if code:
        raise StageFailed(f"{stage}: {failure_sentence(lines)}")
    return any(CACHED in line for line in lines)


def failure_sentence(lines: list[str]) -> str:
    """The stage's own `error: ...` sentence, else the last line that it said."""
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    spoken = [line for line in lines if line.strip()]
    return errors[-1] if errors else (spoken[-1] if spoken else "it said nothing")
