"""One stage, one or more processes: where params ask for more than one, torchrun's own launcher starts them.

The starter of the stages calls it: it decides no output, and no stage imports it.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from components.errors import TrainingError
from components.machine.code_state import warn_uncommitted
from components.machine.training_lock import training_lock
from components.machine.workers import is_worker
from components.params.predict import PredictParams
from components.params.trainer import GRACE_S, LaunchParams
from components.policy.extensions import free_builds

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

GPU_PYTHON = "LOOKOUT_GPU_PYTHON"
OWN_SENTENCE = re.compile(r"^error: (.+)$", re.MULTILINE)
"""What a process of ours says before it ends by a failure that the user can mend."""
LAST_OF_TRACEBACK = re.compile(r"^[\w.]+(?:Error|Exception|Interrupt|Exit)\b.*$", re.MULTILINE)


def run_training(stage: str, command: Sequence[str], launch: LaunchParams, train: Callable[[], None]) -> None:
    """Calls `train` here, or starts `python command...`, which does so, for every process that params ask for.

    The machine's training lock is held meanwhile. Raises TrainingError where another training runs, or with the
    sentence of a process that failed; all others are ended then.
    """
    if not is_worker():
        warn_uncommitted(logging.getLogger("lookout.training"))
    with nullcontext() if is_worker() else training_lock(stage):
        # of several nodes another one's build is not seen here
        if not is_worker() and launch.deepspeed != "none" and launch.nodes == 1:
            free_builds()
        _run_processes(stage, command, launch, train)


def run_predict(command: Sequence[str], params: PredictParams, predict: Callable[[], None]) -> None:
    """As run_training, beside whatever else the machine does; what several processes answered is put together here."""
    launch = LaunchParams(
        processes=params.processes,
        deepspeed="none",
        threads=params.threads,
        nodes=1,
        rendezvous=None,
        python=params.python,
    )
    _run_processes("predict", command, launch, predict)
    if _launches(launch) and not is_worker():
        predict()


def _launches(launch: LaunchParams) -> bool:
    return launch.processes > 1 or launch.nodes > 1 or launch.python is not None


def _run_processes(stage: str, command: Sequence[str], launch: LaunchParams, work: Callable[[], None]) -> None:
    if is_worker():
        if os.environ["RANK"] != "0":
            logging.getLogger("lookout").setLevel(logging.WARNING)  # only the first process logs
        work()
    elif _launches(launch):
        _launch(stage, command, launch)
    else:
        work()


def _launch(stage: str, command: Sequence[str], launch: LaunchParams) -> None:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from components.policy.meeting import BACKEND, LOOPBACK, allow, loopback_only

    python = _interpreter(stage, launch)
    allow()
    asked = _pass_signals_on()
    for name, value in _environment(launch).items():
        os.environ.setdefault(name, value)
    if launch.nodes == 1:
        os.environ |= loopback_only()
    logs = Path(tempfile.mkdtemp(prefix=f"lookout-{stage}-"))
    config = LaunchConfig(
        min_nodes=launch.nodes,
        max_nodes=launch.nodes,
        nproc_per_node=launch.processes,
        run_id=f"lookout-{stage}",
        role=stage,  # what each line of a process begins with
        rdzv_backend=BACKEND,
        rdzv_endpoint=launch.rendezvous or LOOPBACK,
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(str(logs), tee=Std.ALL),
    )
    try:
        elastic_launch(config, python)("-u", *command)
    except ChildFailedError as error:
        raise TrainingError(_why(stage, error, logs, asked)) from None
    finally:
        signal.alarm(0)
        shutil.rmtree(logs, ignore_errors=True)


def _interpreter(stage: str, launch: LaunchParams) -> str:
    """This one, or that of the second environment, which lies beside the first: also for a worktree.

    Params name no path: who may type an override into a form must not choose a program. Raises TrainingError where the
    interpreter is not there.
    """
    if launch.python is None:
        return sys.executable
    path = os.environ.get(GPU_PYTHON) or str(Path(sys.prefix).parent / ".venv-gpu/bin/python")
    if shutil.which(path) is None:
        raise TrainingError(
            f"{stage}: params ask for python: gpu, but {path} is not there or no program: `make setup-gpu` makes it, "
            f"{GPU_PYTHON} names another, python: null takes the one that runs the pipeline"
        )
    return path


def _pass_signals_on() -> list[int]:
    """Hands signals that ask the launcher to end on to its processes, which end by themselves; returns those that came.

    torch's own handler raises instead, and a second signal, as of a cancelled flow, then ends processes that still
    save. A process that hangs is killed behind its grace.
    """
    import psutil
    from torch.distributed.elastic.multiprocessing import api

    asked: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if not asked:
            signal.signal(signal.SIGALRM, pass_on)
            signal.alarm(GRACE_S + 5)
        asked.append(number)
        ask = {signal.SIGINT: signal.SIGINT, signal.SIGALRM: signal.SIGKILL}.get(signal.Signals(number), signal.SIGTERM)
        for process in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(ask)

    api._terminate_process_handler = pass_on  # registered when the processes start
    return asked


def _environment(launch: LaunchParams) -> dict[str, str]:
    import torch

    threads = {"OMP_NUM_THREADS": str(launch.threads)}
    return threads if torch.cuda.is_available() else threads | {"DS_ACCELERATOR": "cpu"}


def _why(stage: str, error: ChildFailedError, logs: Path, asked: Sequence[int] = ()) -> str:
    """The own sentence of a process that failed; where none has one: which failed first, how, and its last line."""
    for failure in error.failures.values():
        if own := OWN_SENTENCE.findall(_said(failure, logs)):
            return own[-1]
    if asked:
        return (
            f"{stage} was asked to end ({signal.Signals(asked[0]).name}) and has saved nothing since: the same command "
            "goes on from the last resume point, or begins anew where there is none"
        )
    rank, failure = error.get_first_failure()
    how = f"signal {failure.signal_name()}" if failure.exitcode < 0 else f"exit code {failure.exitcode}"
    if failure.exitcode == -signal.SIGKILL:
        how += " (so the kernel ends the largest process where memory runs out)"
    said = _said(failure, logs)
    last = (LAST_OF_TRACEBACK.findall(said) or said.strip().splitlines() or ["nothing"])[-1]
    return f"{stage}: process {rank} (pid {failure.pid}) ended by {how}, the others were stopped; it said last: {last}"


def _said(failure: ProcessFailure, logs: Path) -> str:
    """The error stream of one process, as torch's launcher has kept it."""
    kept = logs.glob(f"*/attempt_*/{failure.local_rank}/stderr.log")
    return "".join(path.read_text(errors="replace") for path in sorted(kept))
