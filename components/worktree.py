"""A git worktree of a commit, with params.yaml, dvc.lock and *.dvc of one's own, on the checkout's DVC cache."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from components.code_state import git
from components.errors import LookoutError
from components.kept_lock import check


def add_worktree(into: Path, commit: str, state: dict[str, str]) -> None:
    """Makes it at `into`, writes `state` (path -> text) there, and has DVC put the data of its *.dvc files there.

    Raises LookoutError where git cannot, where dvc.lock is torn, or where neither cache nor remote has the data.
    """
    check()
    if git("worktree", "add", "--detach", str(into), commit) is None:
        raise LookoutError(
            f"git has no commit {commit}, or no worktree can be made at {into}; git fetch brings commits"
        )
    for path, text in state.items():
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        (into / path).write_text(text)
    cache = _dvc(Path(), "cache", "dir").strip()
    _dvc(into, "cache", "dir", "--local", cache)
    tracked = [path for path in state if path.endswith(".dvc")]
    if tracked:
        try:
            _dvc(into, "checkout", "-q", *tracked)
        except LookoutError:
            _dvc(into, "pull", "-q", *tracked)


def remove_worktree(into: Path) -> None:
    """Takes it away again; what DVC's cache and the registry hold stays."""
    git("worktree", "remove", "--force", str(into))
    shutil.rmtree(into, ignore_errors=True)
    git("worktree", "prune")


def _dvc(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise LookoutError(f"dvc {' '.join(arguments)} failed in {folder}: {answer.stderr.strip()[-200:]}")
    return answer.stdout
