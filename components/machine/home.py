"""What must be one per machine, not per worktree: MLflow's store, resume checkpoints, the training lock."""

from __future__ import annotations

import os
from pathlib import Path

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
