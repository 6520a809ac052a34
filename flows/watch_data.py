"""New data: has a dataset's source changed, is it valid, has it drifted; then, and only then, train."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.states import State

from components.errors import DataError
from components.machine.dvc import dvc
from components.model_registry.lineage import LOCK_FILE
from components.params.whole import load_params
from flows.artifacts import done
from flows.place import busy
from flows.promotion import Promote
from flows.retrain import retrain, run_shown
from flows.stage_task import stream

DEPLOYMENT = "retrain/retrain"


@flow(name="watch-data", flow_run_name="watch data")
def watch_data(promote: Promote = "never") -> State[str]:
    """Looks at every dataset's source; where one has changed it is taken in and validated, and a retraining started.

    Raises StageFailed with the stage's sentence where new data is not valid: nothing is trained then.

    Args:
        promote: what the retraining does with its challenger
    """
    logger = get_run_logger()
    who = busy()
    if who:
        return done(f"{who} is training; the next look is for later", "Busy")
    names = list(load_params().datasets)
    if not LOCK_FILE.exists():
        return done("nothing has run here yet: the first retraining is started by a person", "Nothing new")
    news = {name: why for name in names if (why := what_is_new(name))}
    if not news:
        return done(f"nothing new in {', '.join(names)}", "Nothing new")
    for name, why in news.items():
        logger.info("%s: %s", name, why)
        _take_in(name)
        run_shown([f"validate@{name}"])
    started = _start(promote)
    return done(f"{'; '.join(f'{name}: {why}' for name, why in news.items())}; {started}", "Retraining")


def what_is_new(dataset: str) -> str:
    """How a dataset differs from what was last validated, in words; empty where it does not.

    DVC says it: of the *.dvc file of its folder (a changed folder, an import that has moved), else of the data that
    its stages read and wrote. Code and parameters that have changed are no news of the data.
    """
    tracked = _tracked(dataset)
    if tracked is not None:
        said = _status(tracked)
        if said:
            return "its import has moved" if "update available" in json.dumps(said) else f"{tracked[:-4]} has changed"
    root = load_params().datasets[dataset].root
    if any(data_changed(_status(f"{stage}@{dataset}"), root) for stage in ("ingest", "validate")):
        return "its last version was not validated yet"
    return ""


def data_changed(status: dict[str, Any], root: str) -> bool:
    """Whether `dvc status --json` of a stage names data: the dataset's folder, or what lies in data/."""
    changes = [paths for entries in status.values() for entry in entries if isinstance(entry, dict)
               for paths in entry.values() if isinstance(paths, dict)]  # fmt: skip
    return any(path == root or path.startswith("data/") for paths in changes for path in paths)


def _tracked(dataset: str) -> str | None:
    """The *.dvc file of a dataset's folder; None where a stage writes the folder."""
    path = Path(load_params().datasets[dataset].root + ".dvc")
    return path.as_posix() if path.exists() else None


def _status(target: str) -> dict[str, Any]:
    return json.loads(dvc("status", "--json", target, fails=DataError))


def _take_in(dataset: str) -> None:
    """Has DVC put the new content under its digest."""
    tracked = _tracked(dataset)
    if tracked is None:
        return
    text = Path(tracked).read_text()
    imported = "\ndeps:" in text
    command = ("dvc", "update", tracked) if imported else ("dvc", "commit", "--force", tracked)
    stream(*command, what=f"taking in {dataset}")


def _start(promote: Promote) -> str:
    """By the server's deployment, so that it waits its turn; without one here, now."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound:
            return str(retrain(promote=promote))
    started = cast(FlowRun, run_deployment(DEPLOYMENT, parameters={"promote": promote}, timeout=0, as_subflow=False))
    return f"retraining {started.name} is scheduled"


if __name__ == "__main__":
    watch_data()
