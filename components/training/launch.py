"""One training, one or more processes: where params ask for more than one, the stage's module goes through torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from components.errors import TrainingError
from components.params import LaunchParams

DEEPSPEED_FOLDER = Path("conf/deepspeed")


def launch_processes(stage: str, launch: LaunchParams) -> bool:
    """Runs the stage under torchrun and waits for it; False where this process is to do the work itself.

    Raises TrainingError where a process failed; its own last words are in the log above.
    """
    if launch.processes == 1 or "LOCAL_RANK" in os.environ:
        return False
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc_per_node", str(launch.processes), "-m", f"components.stages.{stage}"]
    code = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": str(launch.threads)}, check=False).returncode
    if code:
        raise TrainingError(
            f"{stage} on {launch.processes} processes ended with exit code {code}; the failing rank's lines stand above"
        )
    return True


def deepspeed_config(launch: LaunchParams) -> str | None:
    """Path of the DeepSpeed JSON that the params name, None for none. Raises TrainingError where it is missing."""
    if launch.deepspeed == "none":
        return None
    path = DEEPSPEED_FOLDER / f"{launch.deepspeed}.json"
    if not path.exists():
        raise TrainingError(f"{path} is not there, but launch.deepspeed is {launch.deepspeed!r}")
    return str(path)
