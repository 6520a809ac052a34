"""No version without a commit: code that is not on one is refused, and a version's state has one of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path

from components.errors import RegistryError
from components.machine.code_state import CodeState, uncommitted
from components.machine.git import git, git_bytes
from components.machine.home import main_checkout
from components.model_registry.mlflow_types import Version
from components.model_registry.registry import KEY_TAG


def refuse_dirty(state: CodeState) -> None:
    """Raises RegistryError, with the command to run, where code differs from its commit."""
    said = uncommitted(state)
    if said:
        raise RegistryError(
            f"{said}, then `dvc repro register` (or register.allow_dirty: true, and promotion will refuse the version)"
        )


def tag_exists(tag: str) -> bool:
    """Whether this repository has the tag."""
    return git("rev-parse", "-q", "--verify", f"refs/tags/{tag}") is not None


def git_tag(name: str, number: int | str, key: str) -> str:
    """The git tag of a version: its params.yaml, dvc.lock and *.dvc files on a commit.

    NAME/vN; with the beginning of the lineage's key behind it where this repository has such a tag, because NAME/vN
    came from a clone whose version N is another.
    """
    plain = plain_tag(name, number)
    return own if tag_exists(own := own_tag(plain, key)) else plain


def plain_tag(name: str, number: int | str) -> str:
    """The git tag of a version where nobody else has it."""
    return f"{name}/v{number}"


def own_tag(plain: str, key: str) -> str:
    """The tag of a version whose plain tag is another lineage's."""
    return f"{plain}-{key[:8]}"


def tag_of(version: Version) -> str:
    """git_tag of a registered version."""
    return git_tag(version.name, version.version, version.tags.get(KEY_TAG, ""))


def files_at(commit: str, paths: list[str]) -> dict[str, bytes]:
    """Content of those of the paths that the commit has, by one process."""
    asked = "".join(f"{commit}:{path}\n" for path in paths).encode()
    answer = git_bytes("cat-file", "--batch", told=asked)
    found: dict[str, bytes] = {}
    for path in paths:
        head, _, answer = answer.partition(b"\n")
        if not head.endswith(b" missing"):
            size = int(head.rpartition(b" ")[2])
            found[path], answer = answer[:size], answer[size + 1 :]
    return found


def tag_says(tag: str, what: str) -> str | None:
    """A trailer of the tag's commit, None where it has none: what its version's lineage and statement are."""
    said = (git("log", "-1", f"--format=%(trailers:key={what},valueonly)", f"refs/tags/{tag}") or "").strip()
    return said or None


def tag_state(tag: str, files: dict[str, str], message: str, parent: str = "HEAD", renew: bool = False) -> None:
    """A commit on top of `parent` with these files (path -> text) under `tag`, branch and working tree untouched.

    A tag that is there already stays, unless `renew`. In a temporary experiment it is pushed to the main checkout.
    """
    if renew or not tag_exists(tag):
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            _must(git("read-tree", parent, env=index), "read-tree")
            for path, text in files.items():
                content = Path(folder) / "content"
                content.write_text(text)
                blob = _must(git("hash-object", "-w", "--no-filters", str(content)), "hash-object")
                _must(git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index), "update-index")
            tree = _must(git("write-tree", env=index), "write-tree")
        commit = _must(git("commit-tree", tree, "-p", parent, "-m", message, env=_identity()), "commit-tree")
        _must(git("tag", *(["-f"] if renew else []), tag, commit), "tag")
    main = main_checkout()
    here, there = (git("rev-parse", "--path-format=absolute", "--git-common-dir", cwd=at) for at in (Path(), main))
    if there is not None and here != there:
        git("push", "-q", *(["-f"] if renew else []), str(main), f"refs/tags/{tag}")


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
