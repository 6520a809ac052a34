"""One training, one or more processes: where params ask for more than one, torchrun's own launcher starts them."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from components.children import die_with_parent
from components.errors import TrainingError
from components.params import LaunchParams
from components.training.lock import training_lock

DEEPSPEED_FOLDER = Path("conf/deepspeed")
LAST_LINES = 12
SHUTDOWN_S = 10
"""How long the others get to end by themselves once one process has died."""


def run_training(stage: str, launch: LaunchParams, train: Callable[[], None]) -> None:
    """Calls `train` here, or has `python -m components.stages.<stage>` do so in every process that params ask for.

    The machine's training lock is held meanwhile. Raises TrainingError where another training runs, or
    with the last lines of the process that failed first; all others are ended then.
    """
    with nullcontext() if is_worker() else training_lock(stage):
        run_processes(stage, [], launch, train)


def run_processes(stage: str, arguments: list[str], launch: LaunchParams, work: Callable[[], None]) -> None:
    """As run_training, with arguments for the stage's command, and beside whatever else the machine does."""
    if is_worker():
        _become_worker()
        work()
    elif launch.processes == 1 and launch.nodes == 1:
        work()
    else:
        _launch(stage, arguments, launch)


def is_worker() -> bool:
    """Whether this process was started by the launcher, as one of several."""
    return "LOCAL_RANK" in os.environ


def _become_worker() -> None:
    """Dies with its launcher, so that no orphan trains on; only the first process logs."""
    if not die_with_parent(signal.SIGKILL):
        raise TrainingError("the launcher has ended before its process began")
    if os.environ["RANK"] != "0":
        logging.getLogger("lookout").setLevel(logging.WARNING)


def _launch(stage: str, arguments: list[str], launch: LaunchParams) -> None:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name, value in _environment(launch).items():
        os.environ.setdefault(name, value)
    logs = Path(tempfile.mkdtemp(prefix=f"lookout-{stage}-"))
    config = LaunchConfig(
        min_nodes=launch.nodes,
        max_nodes=launch.nodes,
        nproc_per_node=launch.processes,
        run_id=f"lookout-{stage}",
        role=stage,  # what each line of a process begins with
        rdzv_backend="c10d",
        rdzv_endpoint=launch.rendezvous or "localhost:0",
        max_restarts=0,
        shutdown_timeout=SHUTDOWN_S,
        logs_specs=DefaultLogsSpecs(str(logs), tee=Std.ALL),
    )
    try:
        elastic_launch(config, sys.executable)("-u", "-m", f"components.stages.{stage}", *arguments)
    except ChildFailedError as error:
        raise TrainingError(_why(stage, error)) from None
    finally:
        shutil.rmtree(logs, ignore_errors=True)


def _environment(launch: LaunchParams) -> dict[str, str]:
    import torch

    threads = {"OMP_NUM_THREADS": str(launch.threads)}
    return threads if torch.cuda.is_available() else threads | {"DS_ACCELERATOR": "cpu"}


def _why(stage: str, error: Any) -> str:
    """Which process failed first, how, and what it said last."""
    rank, failure = error.get_first_failure()
    how = f"signal {failure.signal_name()}" if failure.exitcode < 0 else f"exit code {failure.exitcode}"
    try:
        text = (Path(failure.error_file).parent / "stderr.log").read_text(errors="replace")
    except OSError:
        text = ""
    said = "\n".join(text.strip().splitlines()[-LAST_LINES:]) or "it said nothing"
    return (
        f"{stage}: process {rank} (pid {failure.pid}) ended by {how}, the others were stopped; its last lines:\n{said}"
    )


def deepspeed_config(launch: LaunchParams) -> str | None:
    """Path of the DeepSpeed JSON that the params name, None for none. Raises TrainingError where it is missing."""
    if launch.deepspeed == "none":
        return None
    path = DEEPSPEED_FOLDER / f"{launch.deepspeed}.json"
    if not path.exists():
        raise TrainingError(f"{path} is not there, but launch.deepspeed is {launch.deepspeed!r}")
    return str(path)
