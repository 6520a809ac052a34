"""Full disks, read-only folders and damaged files: each stage says one sentence, and works once the fault is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.drill.kills import done, said

WRITES: dict[tuple[str, ...], str] = {
    ("synthesize", "--name", "crowd"): "data/raw",
    ("ingest", "--dataset", "crowd"): "data/interim",
    ("validate", "--dataset", "crowd"): "data/validated",
    ("base",): "models",
    ("prompts",): "data",
    ("sft",): "models",
    ("grpo",): "models",
    ("predict", "--model", "sft"): "data/predictions",
    ("score", "--model", "sft"): "reports/scores",
    ("report",): "reports",
    ("register",): "reports",
}
"""Stage and its arguments -> a folder that it writes into."""
TABLES: dict[tuple[str, ...], str] = {
    ("validate", "--dataset", "crowd"): "data/interim/crowd/scenes.parquet",
    ("prompts",): "data/interim/crowd/boxes.parquet",
    ("sft",): "data/prompts/sft.parquet",
    ("grpo",): "data/prompts/grpo.parquet",
    ("score", "--model", "sft"): "data/prompts/test.parquet",
}
STATE = ("images.sqlite", "lineage-index.sqlite", "mlflow.db")
STARTER = "components.operations.stage"
READERS = {"images.sqlite": (STARTER, "components.stages.ingest", "--dataset", "crowd"),
           "lineage-index.sqlite": ("components.cli.main", "used-by", "crowd"),
           "mlflow.db": ("components.cli.main", "trace", "1")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and how it was met; `holds`: one sentence or none, no traceback."""

    what: str
    holds: bool
    saying: str


def disks(folder: Path, stages: int | None = None) -> Iterator[Fault]:
    """Each stage with a full disk, then with a read-only one, where it writes; nothing where one may not mount."""
    for arguments, place in list(WRITES.items())[:stages]:
        for how in ("full", "read-only"):
            with mounted(folder / place, how) as there:
                if not there:
                    return
                answer = done(folder, STARTER, f"components.stages.{arguments[0]}", *arguments[1:])
            yield _met(f"{arguments[0]}: {place} {how}", answer)


def tables(folder: Path, stages: int | None = None) -> Iterator[Fault]:
    """Each stage with a Parquet file that is damaged in its middle."""
    for arguments, name in list(TABLES.items())[:stages]:
        with _damaged(folder / name, _middle):
            yield _met(
                f"{arguments[0]}: {name} damaged",
                done(folder, STARTER, f"components.stages.{arguments[0]}", *arguments[1:]),
            )


def state(folder: Path) -> Iterator[Fault]:
    """Each file of the home as garbage, cut in half and empty; a cache is made anew, a registry says what to do."""
    ways: dict[str, Callable[[bytes], bytes]] = {
        "garbage": lambda content: bytes(range(256)) * 16,
        "cut": lambda content: content[: len(content) // 2],
        "damaged": _middle,
    }
    for name in STATE:
        path = folder / ".lookout" / name
        for way, change in ways.items():
            if path.exists():
                with _damaged(path, change):
                    yield _met(f"{name} {way}", done(folder, *READERS[name]), may_work=True)


@contextmanager
def mounted(place: Path, how: str) -> Iterator[bool]:
    """A file system of its own with all that the folder holds, full or read-only; False where one may not mount."""
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(place, copy, symlinks=True, dirs_exist_ok=True)
        command = ["mount", "-t", "tmpfs", "tmpfs", str(place)]
        there = subprocess.run(command, capture_output=True, check=False).returncode == 0
        if there:
            shutil.copytree(copy, place, symlinks=True, dirs_exist_ok=True)
    try:
        if there:
            found = os.statvfs(place)
            taken = f"size={(found.f_blocks - found.f_bfree) * found.f_frsize or 1}"
            command = ["mount", "-o", f"remount,{taken if how == 'full' else 'ro'}", str(place)]
            subprocess.run(command, check=True)
        yield there
    finally:
        if there:
            subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def _damaged(path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    whole = path.read_bytes()
    path.unlink()  # DVC may have linked it to its cache
    path.write_bytes(change(whole))
    try:
        yield
    finally:
        path.write_bytes(whole)


def _middle(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(64) + content[middle + 64 :]


def _met(what: str, answer: subprocess.CompletedProcess[str], may_work: bool = False) -> Fault:
    lines = said(answer).strip().splitlines() or ["it said nothing"]
    errors = [line for line in lines if line.startswith("error: ")]
    worked = may_work and answer.returncode == 0
    holds = "Traceback" not in said(answer) and (worked or (answer.returncode != 0 and len(errors) == 1))
    return Fault(what, holds, errors[-1] if errors else ("worked" if worked else lines[-1]))
