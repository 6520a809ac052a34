"""`lookout doctor`: what a run needs of this machine, looked at, with what to do where it lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.version import Version

from components.errors import DataError
from components.graph.kept_lock import check
from components.machine.dvc import IN_USE, in_use_is_torn, run_dvc
from components.machine.home import lookout_home
from components.model_registry.address import mlflow_uri
from components.operations.servers import answers
from components.operations.up import status

GIB = 2**30
NEEDED_GIB = 5
KNOWN_BAD = {
    "fastapi": ("0.151", "Prefect's server does not import with it"),
    "sqlalchemy": ("2.1", "Prefect's scheduler creates no runs with it"),
}
"""library: (first version that is bad, why)."""
SKEW_S = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """verdict: ok, note (works, but look) or bad (will not work)."""

    verdict: str
    what: str
    seen: str
    todo: str = ""


def examine() -> list[Finding]:
    """Every finding, in the order in which one would mend them."""
    looks = (_python, _versions, _disk, _permissions, _lock, _gpu, _remote, _servers, _clock)
    return [finding for look in looks for finding in look()]


def _python() -> Iterator[Finding]:
    found = sys.version_info[:2]
    fits = found in ((3, 11), (3, 12))
    yield Finding("ok" if fits else "bad", "Python", ".".join(map(str, found)), "" if fits else "use 3.11 or 3.12")


def _versions() -> Iterator[Finding]:
    for name, (first_bad, why) in KNOWN_BAD.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Finding("bad", name, "is not installed", "make setup")
            continue
        bad = Version(found) >= Version(first_bad)
        yield Finding("bad" if bad else "ok", name, f"{found}, {why}" if bad else found,
                      f"pip install '{name}<{first_bad}'" if bad else "")  # fmt: skip
    constraints = Path("constraints.txt")
    wanted = (
        dict(line.split("==") for line in constraints.read_text().split() if "==" in line)
        if constraints.exists()
        else {}
    )
    other = [f"{name} {_installed(name)} (tested: {want})" for name, want in wanted.items()
             if (found := _installed(name)) is not None and found.split("+")[0] != want]  # fmt: skip
    yield Finding("note" if other else "ok", "versions", "; ".join(other[:5]) or f"{len(wanted)} as they were tested",
                  "pip install -c constraints.txt -e '.[dev]'" if other else "")  # fmt: skip


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _disk() -> Iterator[Finding]:
    for what, folder in (
        ("disk of the home", lookout_home()),
        ("disk for temporary files", Path(tempfile.gettempdir())),
    ):
        free = shutil.disk_usage(folder).free / GIB
        fits = free >= NEEDED_GIB
        yield Finding("ok" if fits else "bad", what, f"{free:.0f} GiB free at {folder}",
                      "" if fits else f"free {NEEDED_GIB} GiB; lookout gc lists what no version needs")  # fmt: skip


def _permissions() -> Iterator[Finding]:
    for folder in (lookout_home(), Path.cwd()):
        fits = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
        yield Finding("ok" if fits else "bad", "permission", f"{folder} can{'' if fits else 'not'} be written",
                      "" if fits else f"chown -R $(id -un) {folder}")  # fmt: skip


def _lock() -> Iterator[Finding]:
    try:
        check()
    except DataError as error:
        yield Finding("bad", "dvc.lock", str(error))
    else:
        yield Finding("ok", "dvc.lock", "can be read")
    if in_use_is_torn():
        yield Finding("bad", str(IN_USE), "a kill has cut it, and no dvc command works", "lookout doctor --repair")


def _gpu() -> Iterator[Finding]:
    tool = shutil.which("nvidia-smi")
    names = _said(tool, "--query-gpu=name,memory.free", "--format=csv,noheader").splitlines() if tool else []
    seen = "; ".join(names) or "none: the tiny profiles run on the CPU, the others want one"
    yield Finding("ok" if names else "note", "GPU", seen)


def _remote() -> Iterator[Finding]:
    found = run_dvc("remote", "list").stdout.split()
    yield Finding("ok" if found else "note", "DVC remote", " ".join(found) or "none: all data is in this cache only",
                  "" if found else "dvc remote add -d store URL, then dvc push")  # fmt: skip


def _servers() -> Iterator[Finding]:
    for name, healthy, where in status():
        yield Finding("ok" if healthy else "note", name, f"{'up' if healthy else 'down'}, {where}",
                      "" if healthy else "make up")  # fmt: skip
    uri = mlflow_uri()
    if uri.startswith("http"):
        fits = answers(f"{uri.rstrip('/')}/health")
        yield Finding("ok" if fits else "bad", "registry", f"{uri} {'answers' if fits else 'does not answer'}",
                      "" if fits else "start it, or unset MLFLOW_TRACKING_URI")  # fmt: skip


def _clock() -> Iterator[Finding]:
    """Beside the file system's and, where a server answers, the server's: schedules and leases live by it."""
    with tempfile.NamedTemporaryFile(dir=lookout_home()) as file:
        skews = {"the file system": Path(file.name).stat().st_mtime - time.time()}
    uri = mlflow_uri()
    if uri.startswith("http"):
        try:
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5) as answer:
                if answer.headers["Date"]:
                    skews[uri] = parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
        except OSError:
            pass  # said already
    for where, skew in skews.items():
        fits = abs(skew) < SKEW_S
        yield Finding(
            "ok" if fits else "bad", "clock", f"{skew:+.0f} s beside {where}", "" if fits else "set the clock"
        )


def _said(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""
