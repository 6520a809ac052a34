"""One stage of dvc.yaml as one Prefect task: its own log streamed, its own sentence when it fails."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, State

from components.errors import LookoutError, ParamsError
from components.graph.stages import stage_names
from components.machine.dvc import stage_environment
from components.machine.last_words import reason

CACHED = "didn't change, skipping"
FROM_CACHE = "is cached - skipping run"
"""Another run has made it: its outputs are checked out."""
ADVICE = re.compile(r"\s*(To (track|enable)|git add|dvc config|Use `dvc push`|Updating lock file|$)")
"""Lines of DVC's that say nothing of the stage."""
SECOND_TRY_HELPS = re.compile(
    r"does not answer|is held by|is being changed on|timed? ?out|connection|temporar|unreachable|reset by peer",
    re.IGNORECASE,
)
HOUR_S = 3600
LONGEST_H = {"sft": 240, "grpo": 480, "predict": 72}
"""Hours after which a stage is ended; any other: 24."""
PROGRESS = re.compile(r"(?P<stage>\w+) step (?P<step>\d+) of (?P<steps>\d+): (?P<numbers>.*), (?P<left>\d+) s left")
END_S = 10


class StageFailed(LookoutError):  # noqa: N818  (what Prefect shows as the reason)
    """A stage ended with an error; the text is the stage's own sentence."""

    def __init__(self, stage: str, sentence: str) -> None:
        super().__init__(f"{stage}: {sentence}")
        self.stage = stage


def plan(targets: Sequence[str], force: bool = False) -> tuple[list[str], int]:
    """The targets (`grpo`, `validate`, `score@sft`) with what is before them, and how many of the first are up to date.

    In the graph's order; no targets: all; force: none counts as up to date. DVC's graph is read once and in this
    process: starting dvc for it, or reading it stage by stage, takes seconds. Raises ParamsError for a name that
    dvc.yaml does not have.
    """
    names = stage_names()
    wanted = [name for name in names if not targets or name in targets or name.split("@")[0] in targets]
    lost = [one for one in targets if not any(one in (name, name.split("@")[0]) for name in names)]
    if lost:
        raise ParamsError(f"dvc.yaml has no stage {lost[0]}; it has {', '.join(names)}")
    from dvc.repo import Repo
    from dvc.repo.graph import get_subgraph_of_nodes

    with Repo() as repo:
        stages = {stage.addressing: stage for stage in repo.index.stages}
        needed = get_subgraph_of_nodes(repo.index.graph, [stages[name] for name in wanted])
        ordered = [stages[name] for name in names if stages[name] in needed]
        cached = 0 if force else _up_to_date(repo, ordered)
    return [stage.addressing for stage in ordered], cached


def _up_to_date(repo: Any, stages: Sequence[Any]) -> int:
    """How many of the first are as `dvc status` wants them; none while another dvc is at work: a stage's says so."""
    from dvc.lock import LockError
    from dvc.repo import lock_repo

    try:
        with lock_repo(repo):
            return sum(1 for _ in takewhile(lambda stage: not stage.status(), stages))
    except LockError:
        return 0


def second_try_helps(_task: Any, _run: Any, state: State[Any]) -> bool:
    """The network and the registry may come back; bad data and bad parameters do not mend themselves."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StageFailed) and SECOND_TRY_HELPS.search(str(error)) is not None


# Prefect's cache and DVC's would disagree: DVC alone says what is up to date
retried = {"cache_policy": NO_CACHE, "retries": 3, "retry_delay_seconds": [5, 30, 120],
           "retry_condition_fn": second_try_helps}  # fmt: skip


@task(name="stage", task_run_name="{stage}", cache_policy=NO_CACHE)
def show_cached(stage: str) -> State[bool]:
    """A task run that says Cached."""
    return Completed(name="Cached", message=f"{stage} is up to date", data=True)


@task(name="stage", task_run_name="{stage}", **retried)
def stage_task(stage: str, force: bool) -> bool:
    """`dvc repro --single-item`; True where DVC found nothing to do. Raises StageFailed."""
    lines = stream("dvc", "repro", "--single-item", *(["--force"] if force else []), stage, what=stage)
    return any(CACHED in line or FROM_CACHE in line for line in lines)


def run_stage(stage: str, force: bool = False) -> bool:
    """The stage's task with the time that its kind of stage may take."""
    hours = LONGEST_H.get(stage.split("@", maxsplit=1)[0], 24)
    return stage_task.with_options(timeout_seconds=hours * HOUR_S)(stage, force)


def run_stages(targets: Sequence[str] = (), force: bool = False) -> Iterator[tuple[str, bool]]:
    """Runs the targets and what is before them; yields (stage, whether it was up to date) behind each.

    Raises StageFailed.
    """
    stages, cached = plan(targets, force)
    for stage in stages[:cached]:
        show_cached(stage)
        yield stage, True
    for stage in stages[cached:]:
        yield stage, run_stage(stage, force)


@task(name="lookout", task_run_name="{verb}", **retried)
def lookout(verb: str, *arguments: str) -> Any:
    """What `lookout VERB ... --json` prints, as plain values. Raises StageFailed with its sentence."""
    return json.loads(stream("components.cli.main", verb, *arguments, "--json", what=verb)[-1])


def stream(*command: str, what: str) -> list[str]:
    """Runs `python -m ...`, line by line into the run's log. Raises StageFailed with its own sentence.

    However this process ends, the other does not outlive it: cancelled or killed, nothing goes on behind our back.
    """
    logger, progress = get_run_logger(), Progress()
    process = subprocess.Popen(
        [sys.executable, "-m", "components.machine.children", *command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=stage_environment(), start_new_session=True,
    )  # fmt: skip
    lines: list[str] = []
    try:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if not ADVICE.match(lines[-1]):
                logger.info(lines[-1])
            progress.show(lines[-1])
        code = process.wait()
    finally:
        if process.poll() is None:
            _end(process)
    if code:
        raise StageFailed(what, reason(lines))
    return lines


def _end(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.killpg(process.pid, number)
        try:
            process.wait(END_S)
            return
        except subprocess.TimeoutExpired:
            continue


class Progress:
    """The artifact `progress-<stage>` of a training: how far, the numbers of the last step, minutes left."""

    def __init__(self) -> None:
        self._artifact: Any = None

    def show(self, line: str) -> None:
        """Takes what a line of the stage's log says; any other line changes nothing."""
        found = PROGRESS.search(line)
        if found is None:
            return
        percent = 100 * int(found["step"]) / int(found["steps"])
        minutes = int(found["left"]) / 60
        text = f"step {found['step']} of {found['steps']}, {found['numbers']}, {minutes:.0f} min left"
        if self._artifact is None:
            self._artifact = create_progress_artifact(percent, f"progress-{found['stage']}", text)
        else:
            update_progress_artifact(self._artifact, percent, text)
