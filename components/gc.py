"""`lookout gc`: what no version needs. Nothing that a version's lineage names is ever touched."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import RegistryError
from components.home import lookout_home
from components.kept_lock import check
from components.model_registry.git import git
from components.model_registry.registry import EXPERIMENT, all_versions, connect, git_tag, only_writer

A_DAY_S = 24 * 3600
KEEP = ("--workspace", "--all-branches", "--all-tags", "--all-experiments")


@dataclass(frozen=True, slots=True)
class Garbage:
    """runs: MLflow runs without a version; checkpoints: resume points that no training holds; cache: what DVC said."""

    runs: list[str]
    checkpoints: list[Path]
    cache: str


def collect(dry_run: bool = True) -> Garbage:
    """Finds, and unless `dry_run` removes. Every version's tag must be here: by its dvc.lock DVC knows what to keep.

    Raises RegistryError where a tag is missing, or a training runs.
    """
    from components.training.lock import training_lock

    client = connect()
    with only_writer(), training_lock("gc"):
        versions = all_versions(client)
        _all_tagged(versions)
        garbage = Garbage(_runs(client, versions), _checkpoints(), _cache(dry_run))
        if not dry_run:
            for run in garbage.runs:
                client.delete_run(run)
            for folder in garbage.checkpoints:
                shutil.rmtree(folder, ignore_errors=True)
    return garbage


def _all_tagged(versions: list[Any]) -> None:
    tags = [git_tag(version.name, version.version) for version in versions]
    lost = [tag for tag in tags if git("rev-parse", "-q", "--verify", f"refs/tags/{tag}") is None]
    if lost:
        raise RegistryError(
            f"the tags of {len(lost)} versions are not in this repository ({lost[0]} first), so what they "
            "need is not known here: git fetch --tags"
        )


def _runs(client: Any, versions: list[Any]) -> list[str]:
    needed = {version.run_id for version in versions}
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id], max_results=5000)
    young = (time.time() - A_DAY_S) * 1000  # a run that was begun lately may be a register on another machine
    return [
        run.info.run_id
        for run in runs
        if run.info.run_id not in needed and not (run.info.status == "RUNNING" and run.info.start_time > young)
    ]


def _checkpoints() -> list[Path]:
    from components.training.lock import is_held  # with LOOKOUT_JOBS a training may run beside us

    folder = lookout_home() / "checkpoints"
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [path for path in found if not is_held(path)]


def _cache(dry_run: bool) -> str:
    check()
    command = [sys.executable, "-m", "dvc", "gc", *KEEP, "--force", *(["--dry"] if dry_run else [])]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RegistryError(f"dvc gc failed: {' '.join(answer.stderr.split())[-200:]}")
    return answer.stdout.strip()
