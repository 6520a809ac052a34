"""Which of the last commits made a stage stale by their code: then, by their own dvc.yaml, and now, by today's.

`python benchmarks/stale_commits.py [--last 60] [--until REVISION] [--stages sft grpo]`. A file of then is followed to
where it stands now by git's renames; where it was split, each definition that the commit changed is looked for by its
name, and one that stands nowhere any more counts as stale.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

MOVED = "-M70%"
"""What git calls a rename: less in common is a file that was split."""
ROOT = "components"


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout


@cache
def deps(revision: str, stage: str) -> tuple[str, ...]:
    """The stage's code dependencies in a commit's dvc.yaml."""
    body: dict[str, Any] = YAML(typ="safe").load(git("show", f"{revision}:dvc.yaml"))["stages"].get(stage, {})
    return tuple(dep for dep in body.get("do", body).get("deps", []) if dep.startswith(f"{ROOT}/"))


def covered(path: str, listed: tuple[str, ...]) -> bool:
    return any(path == dep or path.startswith(f"{dep}/") for dep in listed)


def definitions(text: str) -> dict[str, str]:
    """Top-level name -> what it is, without imports and docstrings of the module."""
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = ast.dump(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: ast.dump(node) for target in targets if isinstance(target, ast.Name)}
    return found


@cache
def homes() -> dict[str, set[str]]:
    """Top-level name -> the files that define it now."""
    found: dict[str, set[str]] = {}
    for path in Path(ROOT).rglob("*.py"):
        for name in definitions(path.read_text()):
            found.setdefault(name, set()).add(path.as_posix())
    return found


def places_now(commit: str, path: str, renames: dict[str, str]) -> set[str]:
    """Where that which the commit changed in a file stands today; the old path for what stands nowhere."""
    if path in renames or Path(path).exists():
        return {renames.get(path, path)}
    if not path.endswith(".py"):
        return {path}
    before, after = (definitions(git("show", f"{revision}:{path}")) for revision in (f"{commit}^", commit))
    changed = [name for name in before | after if before.get(name) != after.get(name)]
    return set().union(*(homes().get(name, {path}) for name in changed))


def renamed_since(commit: str) -> dict[str, str]:
    lines = git("diff", MOVED, "--name-status", "--diff-filter=R", commit, "HEAD", "--", ROOT).splitlines()
    return {old: new for _, old, new in (line.split("\t") for line in lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--last", type=int, default=60)
    parser.add_argument("--until", default="HEAD")
    parser.add_argument("--stages", nargs="+", default=["sft", "grpo"])
    asked = parser.parse_args()
    commits = git("log", f"-{asked.last}", "--no-merges", "--format=%h", asked.until).split()
    then, now = dict.fromkeys(asked.stages, 0), dict.fromkeys(asked.stages, 0)
    for commit in commits:
        files = git("diff", "--name-only", f"{commit}^", commit, "--", ROOT).splitlines()
        renames = renamed_since(commit)
        for stage in asked.stages:
            stale = [file for file in files if covered(file, deps(commit, stage))]
            then[stage] += bool(stale)
            today = {place for file in files for place in places_now(commit, file, renames)}
            gone = {file for file in stale if file in today and not Path(file).exists()}
            now[stage] += bool(gone) or any(covered(place, deps("HEAD", stage)) for place in today)
    print(f"| of the last {len(commits)} commits until {asked.until}, stale | then | now |\n|---|---|---|")
    for stage in asked.stages:
        print(f"| {stage} | {then[stage]} | {now[stage]} |")


if __name__ == "__main__":
    main()
