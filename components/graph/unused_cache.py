"""DVC's cache: the files that nothing names any more, which outputs they were part of, and their removal."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from components.errors import RegistryError
from components.graph.kept_lock import check
from components.machine.dvc import dvc
from components.machine.git import git
from components.params.plain_yaml import load_yaml

KEEP = ("--workspace", "--all-branches", "--all-tags", "--all-experiments")
REMOVING = re.compile(r"Removing (.+)")
UNKNOWN = "no output that is known here"
SHOWN = 5
"""Outputs that the sentence names."""


def clear_cache(dry_run: bool) -> str:
    """What goes, or is gone, in a sentence: files, size, and which outputs they were part of; empty where nothing."""
    check()
    files = _unused(dry_run=True)
    if not files:
        return ""
    size = sum(file.stat().st_size for file in files if file.exists())
    names = _by_output(files)
    if not dry_run:
        _unused(dry_run=False)
    of = ", ".join(f"{output} ({count})" for output, count in names.most_common(SHOWN))
    more = f" and {len(names) - SHOWN} other outputs" if len(names) > SHOWN else ""
    return f"{len(files)} files of DVC's cache, {size / 1e6:.1f} MB, of {of}{more}"


def _unused(dry_run: bool) -> list[Path]:
    """The cache's files that nothing here, on a branch, in a tag or in an experiment names; removed unless dry_run."""
    said = dvc("gc", *KEEP, "--force", *(["--dry"] if dry_run else []), fails=RegistryError)
    return [Path(found) for found in REMOVING.findall(said)]


def _by_output(files: list[Path]) -> Counter[str]:
    """How many of the files were part of which output or dataset."""
    outputs, owner = _outputs(), dict[str, str]()
    for file in files:
        digest = file.parent.name + file.name
        owner.setdefault(digest, outputs.get(digest, UNKNOWN))
        if file.suffix == ".dir" and file.exists():
            members = {one["md5"]: owner[digest] for one in json.loads(file.read_text())}
            owner |= {one: output for one, output in members.items() if owner.get(one, UNKNOWN) == UNKNOWN}
    return Counter(owner[file.parent.name + file.name] for file in files)


def _outputs() -> dict[str, str]:
    """Digest -> path, of what stages have made (DVC's run cache) and of every *.dvc file that git has seen."""
    found: dict[str, str] = {}
    for run in Path(".dvc/cache/runs").glob("*/*/*"):
        found |= {out[out.get("hash", "md5")]: out["path"] for out in load_yaml(run.read_text()).get("outs", [])}
    digest = ""
    for line in (git("log", "--all", "-p", "--format=", "--", "*.dvc") or "").splitlines():
        key, _, value = line.lstrip("+- ").partition(": ")
        digest = value if key == "md5" else digest
        if key == "path" and digest:
            found[digest] = value
    return found
