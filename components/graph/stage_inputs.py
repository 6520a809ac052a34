"""Are the files that a stage reads the bytes that the stage before it wrote? DVC goes by names, times and its cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from components.errors import DataError
from components.graph.code_deps import body_of
from components.graph.dvc_lock import LOCK_FILE, read_lock_file
from components.graph.stages import stage_names
from components.store.digest import dvc_digest


def refuse_altered(stage: str, item: str = "") -> None:
    """Raises DataError where an input of the stage has other bytes than dvc.lock names for it, with what to do.

    item: the dataset or model of a stage that runs for each. Inputs are what its dependencies in dvc.yaml name and
    another stage writes. A cache whose objects were altered is laid out by DVC without a look at them. Where dvc.lock
    does not name a path, or there is none, as in a test, nothing is said.
    """
    for path, name, wanted in _inputs(stage, item) if LOCK_FILE.exists() else ():
        if path.exists() and (found := dvc_digest(path)) != wanted:
            raise DataError(
                f"{path} has the MD5 {found}, dvc.lock names {wanted}: its bytes are not those that {name} wrote; was "
                f"a file or DVC's cache altered? `dvc repro --force --single-item {name}` makes it again"
            )


def _inputs(stage: str, item: str) -> Iterator[tuple[Path, str, str]]:
    """Each input, the stage of the graph that writes it, and the MD5 that dvc.lock names."""
    named = (dep.replace("${item}", item).replace("${key}", item) for dep in body_of(stage).get("deps", []))
    deps = [Path(dep) for dep in named if "$" not in dep]
    stages, there = read_lock_file()["stages"], set(stage_names())
    for name in sorted(there & set(stages)):
        for out in stages[name].get("outs", []):
            if "md5" in out and any(Path(out["path"]).is_relative_to(dep) for dep in deps):
                yield Path(out["path"]), name, out["md5"]
