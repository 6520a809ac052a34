"""What must be one per machine, not per worktree: MLflow's store, resume checkpoints, the training lock."""

from __future__ import annotations

import os
from pathlib import Path

from components.errors import RegistryError
from components.machine.git import git


def lookout_home() -> Path:
    """LOOKOUT_HOME, or `.lookout/` of the main checkout (also seen from its worktrees); made if missing."""
    home = os.environ.get("LOOKOUT_HOME")
    folder = Path(home) if home else main_checkout() / ".lookout"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def main_checkout() -> Path:
    """The checkout that a worktree, or a temporary folder of `dvc exp run`, belongs to."""
    here = Path.cwd()
    for parent in here.parents:  # DVC's temporary experiments are repositories of their own inside the main one
        if (parent / ".dvc/tmp/exps") in here.parents:
            return parent
    folder = git("rev-parse", "--path-format=absolute", "--git-common-dir")
    return here if folder is None else Path(folder.strip()).parent


def mlflow_uri() -> str:
    """MLFLOW_TRACKING_URI, or the sqlite file under the home. Raises RegistryError for a path that no URL can hold."""
    named = os.environ.get("MLFLOW_TRACKING_URI")
    if named:
        return named
    home = lookout_home()
    odd = sorted(set("?%") & set(str(home)))
    if odd:
        raise RegistryError(
            f"{home} has {' and '.join(odd)} in its path, which MLflow reads as part of a URL and then looks for other "
            "files: move the checkout, or set LOOKOUT_HOME to a folder without"
        )
    return f"sqlite:///{home / 'mlflow.db'}"
