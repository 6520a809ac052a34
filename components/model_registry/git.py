"""No version without a commit: code that is not on one is refused, and a version's state has one of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from components.code_state import git, uncommitted
from components.errors import RegistryError
from components.home import main_checkout


def refuse_dirty(state: dict[str, Any]) -> None:
    """Raises RegistryError, with the command to run, where code differs from its commit."""
    said = uncommitted(state)
    if said:
        raise RegistryError(
            f"{said}, then `dvc repro register` (or register.allow_dirty: true, and promotion will refuse the version)"
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
