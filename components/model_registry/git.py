"""What git says of the code, and a commit of its own for each version's state."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from components.errors import RegistryError
from components.home import main_checkout

# what a run changes by itself: embedded in the statement, so no reason to call a checkout dirty
TRACKED_STATE = re.compile(r"params\.yaml|dvc\.lock|.*\.dvc")
CODE_FOLDERS = ("flows/", "components/", "conf/")
USERINFO = re.compile(r"(?<=://)[^/@]+@")


def git(*arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str | None:
    """What git prints, None where it fails or there is no repository."""
    answer = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=False, cwd=cwd, env=os.environ | (env or {})
    )
    return answer.stdout if answer.returncode == 0 else None


def git_state() -> dict[str, Any]:
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


def refuse_dirty(state: dict[str, Any]) -> None:
    """Raises RegistryError, with the command to run, where code differs from its commit."""
    if state["commit"] is None:
        raise RegistryError(
            "this folder has no git commit: nothing says which code trained the model; git commit first"
        )
    if not state["clean"]:
        files = state["changed"]
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        raise RegistryError(
            f"{', '.join(files[:3])}{more} differ from the commit {state['commit'][:10]}: run "
            "`git add -A flows components conf && git commit -a`, then `dvc repro register` (or register.allow_dirty: "
            "true, and promotion will refuse the version)"
        )


def tag_state(tag: str, files: dict[str, str], message: str) -> None:
    """A commit on top of HEAD with these files (path -> text) under `tag`, branch and working tree untouched.

    A tag that is there already stays. In a temporary experiment it is pushed to the main checkout.
    """
    if git("rev-parse", "-q", "--verify", f"refs/tags/{tag}") is None:
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            _must(git("read-tree", "HEAD", env=index), "read-tree")
            for path, text in files.items():
                content = Path(folder) / "content"
                content.write_text(text)
                blob = _must(git("hash-object", "-w", "--no-filters", str(content)), "hash-object")
                _must(git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index), "update-index")
            tree = _must(git("write-tree", env=index), "write-tree")
        commit = _must(git("commit-tree", tree, "-p", "HEAD", "-m", message, env=_identity()), "commit-tree")
        _must(git("tag", tag, commit), "tag")
    main = main_checkout()
    here, there = (git("rev-parse", "--path-format=absolute", "--git-common-dir", cwd=at) for at in (Path(), main))
    if there is not None and here != there:
        git("push", "-q", str(main), f"refs/tags/{tag}")


def _identity() -> dict[str, str]:
    """The user's own name where git knows one."""
    if git("config", "user.email"):
        return {}
    who = {"NAME": "Lookout", "EMAIL": "lookout@localhost"}
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}


def _must(answer: str | None, what: str) -> str:
    if answer is None:
        raise RegistryError(f"git {what} failed: the version's params.yaml and dvc.lock cannot be put on a commit")
    return answer.strip()
