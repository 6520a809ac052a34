"""A checkout of its own with small params, and commands in it as a user gives them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.workspace import REPO, make_workspace


def checkout(folder: Path) -> Path:
    """The tracked files of this checkout in a git repository of their own, with small params."""
    small = make_workspace(folder.with_name(f"{folder.name}-params"))
    names = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, folder / name)
    shutil.copy(small / "params.yaml", folder / "params.yaml")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def copied(finished: Path, folder: Path) -> Path:
    """A copy of the finished checkout with its registry, whose versions' files stay where they were written."""
    return shutil.copytree(finished, folder, symlinks=True, ignore=shutil.ignore_patterns("mlartifacts"))


def run(folder: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    answer = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    if check:
        assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    return answer


def environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {"PATH": path, "PYTHONPATH": str(folder), "LOOKOUT_HOME": str(folder / ".lookout")}
    others = ("MLFLOW_TRACKING_URI", "PREFECT_")  # importing flows, as other tests do, names a home for this process
    return {name: value for name, value in os.environ.items() if not name.startswith(others)} | ours
