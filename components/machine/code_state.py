"""The code's commit, and what differs from it. Trainings say it, `register` refuses by it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, TypedDict

from components.machine.git import git

# what a run changes by itself: embedded in the statement, so no reason to call a checkout dirty
TRACKED_STATE = re.compile(r"params\.yaml|dvc\.lock|.*\.dvc")
CODE_FOLDERS = ("flows/", "components/", "conf/")
USERINFO = re.compile(r"(?<=://)[^/@]+@")


class CodeState(TypedDict):
    """commit: None where the folder has none; changed: files that differ from it; diff_sha256: of what differs."""

    commit: str | None
    remote: str | None
    clean: bool
    changed: list[str]
    diff_sha256: str | None


def git_state() -> CodeState:
    """Commit, remote, which files differ from it (what a run changes aside), and the digest of that difference.

    An untracked file counts where code and configuration lie.
    """
    commit = git("rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "remote": None, "clean": False, "changed": [], "diff_sha256": None}
    lines = (git("status", "--porcelain", "--untracked-files=all") or "").splitlines()
    changed = sorted(
        path
        for line in lines
        if not TRACKED_STATE.fullmatch(path := line[3:]) and (line[:2] != "??" or path.startswith(CODE_FOLDERS))
    )
    remote = (git("remote", "get-url", "origin") or "").strip()
    return {
        "commit": commit.strip(),
        "remote": USERINFO.sub("", remote) if "://" in remote else None,  # a path or a password says nothing to others
        "clean": not changed,
        "changed": changed,
        "diff_sha256": _diff_sha256(changed) if changed else None,
    }


def _diff_sha256(changed: list[str]) -> str:
    digest = hashlib.sha256((git("diff", "HEAD") or "").encode())
    for path in changed:
        if Path(path).is_file():
            digest.update(path.encode() + b"\0" + Path(path).read_bytes())
    return digest.hexdigest()


def uncommitted(state: CodeState) -> str:
    """Which files differ from the commit, with the command to run; empty where none does."""
    if state["commit"] is None:
        return "this folder has no git commit: nothing says which code trained the model; git commit first"
    if state["clean"]:
        return ""
    files = state["changed"]
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f"{', '.join(files[:3])}{more} differ from the commit {state['commit'][:10]}: run `{_commit_command()}`"


def warn_uncommitted(log: Any) -> None:
    """One line before hours of training: `register` would say it behind them. `log` has a `warning`."""
    said = uncommitted(git_state())
    if said:
        log.warning(
            "%s; what is trained from code of no commit is not registered, or with register.allow_dirty not promoted",
            said,
        )


def _commit_command() -> str:
    """What commits the code and what `lookout add-dataset` has written; a pattern that matches nothing ends git add."""
    new = (git("ls-files", "--others", "--exclude-standard") or "").splitlines()
    folders = [folder.rstrip("/") for folder in CODE_FOLDERS if Path(folder).is_dir()]
    patterns = [f"'*{end}'" for end in (".dvc", ".gitignore") if any(path.endswith(end) for path in new)]
    return f"git add -A {' '.join(folders + patterns)} && git commit -a"
