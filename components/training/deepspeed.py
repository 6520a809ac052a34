"""Which of conf/deepspeed a training takes."""

from __future__ import annotations

from pathlib import Path

from components.errors import TrainingError
from components.params.trainer import LaunchParams

DEEPSPEED_FOLDER = Path("conf/deepspeed")


def deepspeed_config(launch: LaunchParams) -> str | None:
    """Path of the DeepSpeed JSON that the params name, None for none. Raises TrainingError where it is missing."""
    if launch.deepspeed == "none":
        return None
    path = DEEPSPEED_FOLDER / f"{launch.deepspeed}.json"
    if not path.exists():
        raise TrainingError(f"{path} is not there, but launch.deepspeed is {launch.deepspeed!r}")
    return str(path)
