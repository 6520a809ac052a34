"""`make drill`: the whole campaign of kills and faults. It prints a table and writes docs/drill.md.

`python -m tests.drill.campaign --stage-kills 150 --verb-kills 50`; root also tries full and read-only disks.
"""

from __future__ import annotations

import argparse
import logging
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from tests.drill.faults import Fault, disks, state, tables
from tests.drill.kills import Row, done, kill_stages, kill_verbs, said
from tests.support.checkout import checkout
from tests.support.running import OTHER_WEIGHT
from tests.support.workspace import REPO, read_params, write_params

log = logging.getLogger("lookout.drill")
PAGE = REPO / "docs/drill.md"
TESTS = {
    "hostile overrides": ("tests/params/test_names.py", "tests/params/test_params.py", "tests/graph/test_compose.py"),
    "hostile names in pages": ("tests/report",),
    "tampered registries": ("tests/model_registry",),
}
"""What tests of their own try: they run here too, the slow ones included."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage-kills", type=int, default=154)
    parser.add_argument("--verb-kills", type=int, default=48)
    parser.add_argument("--minutes", type=float, default=math.inf, help="no kill of a stage begins after so many")
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.add_argument("--no-tests", action="store_true", help="leave out the tests that are run beside it")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    commit = subprocess.check_output(["git", "rev-parse", "--short=10", "HEAD"], cwd=REPO, text=True).strip()
    with tempfile.TemporaryDirectory(prefix="lookout-drill-") as place:
        folder = made(Path(place).resolve() / "checkout")
        rows = list(kill_stages(folder, chosen.stage_kills, chosen.minutes))
        rows += kill_verbs(second(folder), chosen.verb_kills)
        faults = [_said(fault) for fault in chain(disks(folder), tables(folder), state(folder))]
    if not chosen.no_tests:
        faults += [_tests(what, files) for what, files in TESTS.items()]
    text = page(commit, rows, faults)
    chosen.out.write_text(text)
    sys.stdout.write(text)
    if not all(row.holds() for row in rows) or not all(fault.holds for fault in faults):
        sys.exit(1)


def made(folder: Path) -> Path:
    """A checkout whose pipeline has run once, with two processes a training as the tiny profile has."""
    checkout(folder)
    params = read_params(folder)
    for stage in ("sft", "grpo"):
        params[stage]["launch"]["processes"] = 2
        params[stage]["per_device_train_batch_size"] //= 2
    return _run_with(folder, params)


def second(folder: Path) -> Path:
    """Another reward weight: the registry has two versions then."""
    params = read_params(folder)
    params["rewards"]["weights"]["looking"] = OTHER_WEIGHT
    return _run_with(folder, params)


def _run_with(folder: Path, params: dict[str, Any]) -> Path:
    write_params(folder, params)
    answer = done(folder, "dvc", "repro")
    if answer.returncode:
        raise SystemExit(said(answer)[-2000:])
    return folder


def _said(fault: Fault) -> Fault:
    log.info("%s %s: %s", "holds" if fault.holds else "FAILS", fault.what, fault.saying)
    return fault


def _tests(what: str, files: Sequence[str]) -> Fault:
    command = [sys.executable, "-m", "pytest", "-m", "not drill", *files]
    answer = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    last = (answer.stdout.strip().splitlines() or ["it said nothing"])[-1]
    return Fault(f"{what} ({', '.join(files)})", answer.returncode == 0, last)


def page(commit: str, rows: Sequence[Row], faults: Sequence[Fault]) -> str:
    """The result as Markdown."""
    kills, hit = sum(row.kills for row in rows), sum(row.hit for row in rows)
    lines = [
        "# The drill",
        "",
        f"`make drill` on {datetime.now(UTC):%Y-%m-%d}, commit `{commit}`: {kills} kills at random moments, {hit} of "
        "them at work. After one round of four kinds of kill the next `dvc repro` is forced to do the stage's work, "
        "after the next round it may bring the outputs back from DVC's cache. *Torn lock* counts what `lookout doctor "
        "--repair` put back, *lost* outputs with other bytes, *orphans* processes that lived on for 30 s, *leftovers* "
        "half-written files behind the stage's next run, *waiting* those that lie there until it runs, as DVC had its "
        "outputs in the cache, and *blocked* commands that did not end as they do undisturbed.",
        "",
        "| what was killed | kills | at work | torn lock | lost | orphans | leftovers | waiting | blocked |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        counts = (row.kills, row.hit, row.torn_lock, row.lost, row.orphans, row.leftovers, row.waiting, row.blocked)
        lines.append(f"| {row.what} | {' | '.join(map(str, counts))} |")
    lines += ["", "| fault | one sentence | what it said |", "|---|---|---|"]
    for fault in faults:
        lines.append(f"| {fault.what} | {'yes' if fault.holds else 'NO'} | {fault.saying.replace('|', '/')[:200]} |")
    lines += ["", *(f"- {row.what}: {note}" for row in rows for note in row.notes)]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    main()
