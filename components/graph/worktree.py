"""A git worktree of a commit, with params.yaml, dvc.lock and *.dvc of one's own, on the checkout's DVC cache."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from components.errors import LookoutError
from components.graph.kept_lock import check
from components.machine.code_state import TRACKED_STATE
from components.machine.dvc import dvc
from components.machine.git import git


def add_worktree(into: Path, commit: str, state: dict[str, str]) -> None:
    """Makes it at `into`, writes `state` (path -> text) there, and has DVC put the data of its *.dvc files there.

    Raises LookoutError where git cannot, where dvc.lock is torn, where neither cache nor remote has the data, and,
    before anything is made, where `state` has more than params.yaml, dvc.lock and *.dvc files inside the worktree.
    """
    check()
    for path, text in state.items():
        _refuse_other_files(path, text)
    if git("worktree", "add", "--detach", str(into), commit) is None:
        raise LookoutError(
            f"git has no commit {commit}, or no worktree can be made at {into}; git fetch brings commits"
        )
    for path, text in state.items():
        target = into / path
        if target.is_symlink() or not target.parent.resolve().is_relative_to(into.resolve()):
            raise LookoutError(f"{path} leads out of {into} by a link of the commit {commit[:10]}; it is not written")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    dvc("cache", "dir", "--local", dvc("cache", "dir").strip(), cwd=into)
    tracked = [path for path in state if path.endswith(".dvc")]
    if tracked:
        try:
            dvc("checkout", "-q", *tracked, cwd=into)
        except LookoutError:
            dvc("pull", "-q", *tracked, cwd=into)


def _refuse_other_files(path: str, text: str) -> None:
    """Raises LookoutError where a file could change code, lie elsewhere, or have DVC write or run something else."""
    parts = PurePosixPath(path).parts
    wrong = not TRACKED_STATE.fullmatch(path) or path.startswith("/") or not {"..", ".git", ".dvc"}.isdisjoint(parts)
    if wrong or "\\" in path or "\0" in path:
        raise LookoutError(
            f"the state of this version has the file {path!r}; only params.yaml, dvc.lock and *.dvc inside the "
            "checkout are taken: was its statement changed?"
        )
    if not path.endswith(".dvc"):
        return
    try:
        found = YAML(typ="safe", pure=True).load(text)
        outs = [str(out["path"]) for out in found.get("outs", [])]
    except (YAMLError, AttributeError, KeyError, TypeError):
        raise LookoutError(f"{path} of this version's state is no file of DVC's: was its statement changed?") from None
    bad = [out for out in outs if out.startswith("/") or "://" in out or ".." in PurePosixPath(out).parts]
    if bad or not {"cmd", "wdir"}.isdisjoint(found):
        what = f"puts data at {bad[0]}" if bad else "has a command or a folder of its own to work in"
        raise LookoutError(f"{path} of this version's state {what}; `dvc add` writes no such file, it is not taken")


def remove_worktree(into: Path) -> None:
    """Takes it away again; what DVC's cache and the registry hold stays."""
    git("worktree", "remove", "--force", str(into))
    shutil.rmtree(into, ignore_errors=True)
    git("worktree", "prune")
