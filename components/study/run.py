"""Runs what a study still lacks, by `dvc exp run --temp`; stopped anywhere, the same command goes on."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from components.errors import TrainingError
from components.graph.kept_lock import check
from components.machine.dvc import DVC, stage_environment
from components.machine.git import git
from components.machine.home import lookout_home
from components.machine.training_lock import JOBS
from components.study.plan import Run, Study, runs_of

log = logging.getLogger("lookout.study")
LAST_LINES = 15


def run_study(study: Study, jobs: int) -> None:
    """Has every run of the study in DVC's experiments. Raises TrainingError with the last lines of one that failed."""
    _check_committed()
    runs = list(runs_of(study))
    done = finished_names()
    log.info("%s: %d of %d runs are there", study.name, sum(run.name in done for run in runs), len(runs))
    first = [run for run in runs if run.arm.name == study.baseline and run.name not in done]
    rest = [run for run in runs if run.arm.name != study.baseline and run.name not in done]
    for part in (first, rest):  # two that begin from the same SFT would both train it
        _run_all(part, jobs)


def finished_names() -> set[str]:
    """Names of the experiments that DVC holds, whatever commit they began from."""
    refs = git("for-each-ref", "--format=%(refname)", "refs/exps") or ""
    return {ref.rsplit("/", 1)[-1] for ref in refs.splitlines()}


def _check_committed() -> None:
    check()
    changed = git("status", "--porcelain", "--untracked-files=no")
    if changed is None:
        raise TrainingError("a study belongs to a commit, and this folder is no git repository; git init, then commit")
    if changed:
        raise TrainingError(
            f"a study belongs to a commit, but {changed.splitlines()[0].split()[-1]} differs from it; commit first"
        )


def _run_all(runs: Sequence[Run], jobs: int) -> None:
    def stop(number: int, _: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT):  # a shell's background job is born deaf to Ctrl-C
        signal.signal(number, stop)
    begun = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        processes: set[subprocess.Popen[bytes]] = set()
        waiting: dict[Future[float], Run] = {pool.submit(_run_one, run, jobs, processes): run for run in runs}
        try:
            for number, future in enumerate(as_completed(waiting), 1):
                run, minutes = waiting[future], future.result() / 60
                left = (time.monotonic() - begun) / number * (len(runs) - number) / 60
                log.info("%s is done in %.1f min; %d of %d, %.0f min left", run.name, minutes, number, len(runs), left)
        except BaseException:  # Ctrl-C too: no training is left behind
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(processes):
                os.killpg(process.pid, signal.SIGTERM)
            raise


def _run_one(run: Run, jobs: int, processes: set[subprocess.Popen[bytes]]) -> float:
    """Seconds it took."""
    command = [*DVC, "exp", "run", "--temp", "--name", run.name]
    command += [part for setting in run.settings for part in ("-S", setting)] + [run.target]
    environment = stage_environment() | {JOBS: str(jobs), "LOOKOUT_HOME": str(lookout_home())}
    path = _log_file(run)
    begun = time.monotonic()
    with path.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        processes.add(process)
        try:
            code = process.wait()
        finally:
            processes.discard(process)
    if code:
        said = "\n".join(path.read_text(errors="replace").strip().splitlines()[-LAST_LINES:])
        raise TrainingError(f"{run.name} ended with exit code {code}; the end of {path}:\n{said}")
    return time.monotonic() - begun


def _log_file(run: Run) -> Path:
    folder = lookout_home() / "studies"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{run.name}.log"
