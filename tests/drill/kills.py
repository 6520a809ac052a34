"""Kills at random moments of each stage and each registry verb, and what they leave behind."""

from __future__ import annotations

import logging
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from ruamel.yaml import YAML

from components.machine.dvc import in_use_is_torn
from tests.support.checkout import environment, run

STAGES = ("synthesize@crowd", "ingest@crowd", "validate@crowd", "base", "prompts", "sft", "grpo", "predict@sft",
          "score@sft", "report", "register")  # fmt: skip
OVERRULED = ("--force", "--unseen-ok", "--reason", "drill")
PROMOTE = ("promote", "1", *OVERRULED)
VERBS = (("register",), PROMOTE, ("rollback", *OVERRULED), ("trace", "1"), ("verify", "1"),
         ("used-by", "crowd"), ("diff", "1", "2"), ("export", "1", "exported"))  # fmt: skip
WRITING = ("register", "promote", "rollback")
"""Verbs behind whose kill the version is verified."""
TIMES = re.compile(r"^reports/(?!scores|training)|metrics\.json$|predictions|^reports/training")
"""Outputs that tell times: their bytes differ from run to run."""
KINDS = ("dvc alone, SIGKILL", "all of it, SIGKILL", "dvc alone, SIGTERM", "all of it, SIGINT")
GONE_S = 30
log = logging.getLogger("lookout.drill")


@dataclass(slots=True)
class Row:
    """What the kills of one stage or verb left: all but `kills` and `hit` are to be 0."""

    what: str
    kills: int = 0
    hit: int = 0
    """Kills that met it at work."""
    torn_lock: int = 0
    """dvc.lock or DVC's record of use: `lookout doctor --repair` mended it; blocked counts what that did not mend."""
    lost: int = 0
    orphans: int = 0
    leftovers: int = 0
    waiting: int = 0
    """Half-written folders that stay until the stage itself runs again: DVC has brought its outputs back."""
    blocked: int = 0
    notes: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        counts = {
            name: getattr(self, name)
            for name in ("kills", "hit", "torn_lock", "lost", "orphans", "leftovers", "waiting", "blocked")
        }
        return f"{self.what}, so far " + ", ".join(f"{name} {count}" for name, count in counts.items() if count)

    def holds(self) -> bool:
        return not (self.lost or self.orphans or self.leftovers or self.blocked)


def kill_stages(
    folder: Path, kills: int, minutes: float = math.inf, stages: Sequence[str] = STAGES, seed: int = 0
) -> Iterator[Row]:
    """Kills `dvc repro --force` of each of the stages in turn, so many times in all, in a checkout that has run once.

    For one round of KINDS the next `dvc repro` is forced to do the work itself; for the next round it is not, and DVC
    brings the outputs back from its cache where it can. No kill begins after so many minutes.
    """
    chance, deadline = random.Random(seed), time.monotonic() + minutes * 60
    rows = {stage: Row(stage) for stage in stages}
    wanted, seconds = outputs(folder), dict[str, float]()
    for number in range(kills):
        if time.monotonic() > deadline:
            break
        stage = stages[number % len(stages)]
        row = rows[stage]
        force = ("dvc", "repro", "--single-item", "--force", stage)
        if stage not in seconds:
            begun = time.monotonic()
            done(folder, *force)
            seconds[stage] = time.monotonic() - begun
        turn = number // len(stages)
        kind, itself = KINDS[turn % len(KINDS)], turn // len(KINDS) % 2 == 0
        before, left = (folder / "dvc.lock").read_bytes(), _partials(folder)
        _strike(row, folder, force, kind, chance.uniform(0, seconds[stage]))
        if (folder / "dvc.lock").read_bytes() != before or in_use_is_torn(folder):
            row.torn_lock += "was torn" in said(done(folder, "components.cli.main", "doctor", "--repair"))
        again = done(folder, "dvc", "repro", "--single-item", *(["--force"] if itself else []), stage)
        _look(row, again, 0)
        left = _partials(folder) - left
        if itself:
            row.leftovers += bool(left)
            row.notes += [f"{kind}: left behind: {path}" for path in left]
        else:
            row.waiting += bool(left)
        if other := _other(outputs(folder), wanted):
            done(folder, "dvc", "repro")  # what a user would say next; the stages behind may have left dvc.lock
            still = _other(outputs(folder), wanted)
            row.lost += bool(still)
            row.notes.append(
                f"{kind}: other bytes of {', '.join(other)}; after dvc repro {', '.join(still) or 'of none'}"
            )
            wanted = outputs(folder)
        log.info("stage kill %d of %d: %s", number + 1, kills, row)
    yield from rows.values()


def _other(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    return sorted(path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path))


def kill_verbs(folder: Path, kills: int, verbs: Sequence[tuple[str, ...]] = VERBS, seed: int = 1) -> Iterator[Row]:
    """Kills `lookout VERB`; the same command then ends as it did undisturbed, and the version is as it was.

    Needs two versions: the second takes the place of the first as champion, promote and rollback change it again.
    """
    for version in ("1", "2"):
        answer = done(folder, "components.cli.main", "promote", version, *OVERRULED)
        if answer.returncode:
            raise SystemExit(said(answer)[-2000:])
    chance = random.Random(seed)
    rows = {verb: Row(f"lookout {verb[0]}") for verb in verbs}
    ends, seconds = dict[tuple[str, ...], int](), dict[tuple[str, ...], float]()
    verified = done(folder, "components.cli.main", "verify", "1").stdout
    for number in range(kills):
        verb = verbs[number % len(verbs)]
        command = ("components.cli.main", *verb)
        if verb not in ends:
            begun = time.monotonic()
            ends[verb] = done(_cleared(folder), *command).returncode
            seconds[verb] = time.monotonic() - begun
        _strike(rows[verb], _cleared(folder), command, KINDS[1], chance.uniform(0, seconds[verb]))
        _look(rows[verb], done(_cleared(folder), *command), ends[verb])
        rows[verb].leftovers += bool(list(folder.glob(".partial-*")))
        if verb[0] in WRITING and (now := done(folder, "components.cli.main", "verify", "1").stdout) != verified:
            rows[verb].lost += 1
            rows[verb].notes.append(f"verify says {(now.strip().splitlines() or ['nothing'])[-1][:160]}")
            verified = now
        log.info("verb kill %d of %d: %s", number + 1, kills, rows[verb])
    yield from rows.values()


def _cleared(folder: Path) -> Path:
    subprocess.run(["rm", "-rf", str(folder / "exported")], check=True)
    return folder


def _strike(row: Row, folder: Path, command: tuple[str, ...], kind: str, after_s: float) -> None:
    """Starts the command, ends it after so many seconds, and counts what lives on."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=folder, env=environment(folder), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    row.kills += 1
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        row.hit += 1
        number = getattr(signal, kind.split(", ")[1])
        os.kill(process.pid, number) if kind.startswith("dvc") else os.killpg(process.pid, number)
    deadline = time.monotonic() + GONE_S
    while (alive := _at_work(folder)) and time.monotonic() < deadline:
        process.poll()
        time.sleep(0.1)
    if alive:
        row.orphans += 1
        row.notes.append(f"{kind}: {' '.join(alive[0].info['cmdline'] or ())[-80:]}")
        for one in alive:
            one.kill()
    process.wait()


def _at_work(folder: Path) -> list[psutil.Process]:
    """Every process that works in this folder."""
    found = psutil.process_iter(["cwd", "cmdline", "status"])
    return [one for one in found if one.info["cwd"] == str(folder) and one.info["status"] != psutil.STATUS_ZOMBIE]


def _look(row: Row, again: subprocess.CompletedProcess[str], wanted: int) -> None:
    if again.returncode != wanted or "Traceback" in said(again):
        row.blocked += 1
        row.notes.append((said(again).strip().splitlines() or ["it said nothing"])[-1][:160])


def _partials(folder: Path) -> set[str]:
    """What a writer that was killed has left among the outputs."""
    found = (path for top in ("data", "models", "reports") for path in (folder / top).rglob(".partial-*"))
    return {str(path.relative_to(folder)) for path in found}


def done(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """`python -m command` to its end, whichever it is."""
    return run(folder, *command, check=False)


def said(answer: subprocess.CompletedProcess[str]) -> str:
    return answer.stdout + answer.stderr


def outputs(folder: Path) -> dict[str, str]:
    """DVC's digest of each output that tells no times."""
    lock = YAML(typ="safe", pure=True).load((folder / "dvc.lock").read_text())
    outs = (out for stage in lock["stages"].values() for out in stage.get("outs", []))
    return {out["path"]: out["md5"] for out in outs if "md5" in out and not TIMES.search(out["path"])}
