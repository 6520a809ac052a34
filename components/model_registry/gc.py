"""`lookout gc`: what no version needs. Nothing that a version's lineage names is ever touched."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from components.errors import RegistryError
from components.graph.unused_cache import clear_cache
from components.machine.git import git
from components.machine.home import lookout_home
from components.model_registry.mlflow_types import Client, Entry, Version
from components.model_registry.registry import (
    EXPERIMENT,
    KEY_TAG,
    connect,
    only_writer,
    registered_versions,
    statement_of,
    uri_of,
)
from components.model_registry.state_commit import tag_of
from components.model_registry.statement import from_statement
from components.model_registry.subjects import STATEMENT_FILE

A_DAY_S = 24 * 3600
RUN, LOGGED_MODEL = re.compile(r"(?<![0-9a-f-])[0-9a-f]{32}(?![0-9a-f])"), re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Garbage:
    """runs: MLflow runs without a version; checkpoints: resume points that no training holds; cache: what goes."""

    runs: list[str]
    checkpoints: list[Path]
    cache: str


def collect(dry_run: bool = True) -> Garbage:
    """Finds, and unless `dry_run` removes. What any registered version names stays, whoever registered it.

    Each lineage's git tag must be here and hold its own dvc.lock: by that DVC knows what to keep. Raises RegistryError
    where a tag is missing or of another lineage, or a training runs.
    """
    from components.machine.training_lock import training_lock

    client = connect()
    with only_writer(), training_lock("gc"):
        versions = registered_versions(client)
        _all_tagged([version for version in versions if _has_lineage(client, version)])
        garbage = Garbage(_runs(client, versions), _checkpoints(), clear_cache(dry_run))
        if not dry_run:
            for run in garbage.runs:
                client.delete_run(run)
            for folder in garbage.checkpoints:
                shutil.rmtree(folder, ignore_errors=True)
    return garbage


def _has_lineage(client: Client, version: Version) -> bool:
    """By our tag, and where somebody has removed it by the statement that its run holds."""
    if KEY_TAG in version.tags:
        return True
    return any(file.path == STATEMENT_FILE for run in _named_runs(client, version) for file in _artifacts(client, run))


def _artifacts(client: Client, run: str) -> list[Entry]:
    import mlflow

    try:
        return client.list_artifacts(run)
    except mlflow.MlflowException:  # there is no such run: a store that does not answer is a RegistryError
        return []


def _all_tagged(versions: list[Version]) -> None:
    tags = {tag_of(version): version for version in versions}
    lost = [tag for tag in tags if git("rev-parse", "-q", "--verify", f"refs/tags/{tag}") is None]
    if lost:
        raise RegistryError(
            f"the tags of {len(lost)} versions are not in this repository ({lost[0]} first), so what they "
            "need is not known here: git fetch --tags"
        )
    for tag, version in tags.items():
        state = from_statement(statement_of(version))["state"]
        wrong = [path for path, text in state.items() if git("show", f"{tag}:{path}") != text]
        if wrong:
            raise RegistryError(
                f"the tag {tag} holds another {wrong[0]} than the version {uri_of(version)} names, so what it needs is "
                f"not known here: fetch the right tag (git fetch --force origin tag {tag}), or take the wrong one away "
                f"(git tag -d {tag}) and register the version again from its own checkout"
            )


def _runs(client: Client, versions: list[Version]) -> list[str]:
    needed = {run for version in versions for run in _named_runs(client, version)}
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return []
    runs = client.search_runs([experiment.experiment_id], max_results=5000)
    young = (time.time() - A_DAY_S) * 1000  # a run that was begun lately may be a register on another machine
    return [
        run.info.run_id
        for run in runs
        if run.info.run_id not in needed and not (run.info.status == "RUNNING" and run.info.start_time > young)
    ]


def _named_runs(client: Client, version: Version) -> set[str]:
    """Every run that a version names: itself, in the path of its files, or by the logged model that it is of."""
    import mlflow

    source = version.source or ""
    named = {version.run_id or "", *RUN.findall(source)} - {""}
    for model in LOGGED_MODEL.findall(source):
        with suppress(mlflow.MlflowException):  # it is gone: it names nothing any more
            named.add(client.get_logged_model(model).source_run_id or "")
    return named - {""}


def _checkpoints() -> list[Path]:
    from components.training.checkpoints import is_held  # with LOOKOUT_JOBS a training may run beside us

    folder = lookout_home() / "checkpoints"
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [path for path in found if not is_held(path)]
