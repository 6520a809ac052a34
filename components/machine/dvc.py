"""DVC as a program: one way to run it beside its graph, and what it says where it fails as one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from components.errors import LookoutError

DVC = (sys.executable, "-m", "dvc")
MOST_SAID = 300
"""Characters of what DVC said that an error repeats: the end, where the reason stands."""


def dvc(*arguments: str, cwd: Path = Path(), fails: type[LookoutError] = LookoutError) -> str:
    """What DVC prints. Raises `fails` with the end of what it said where it ends with an error."""
    answer = run_dvc(*arguments, cwd=cwd)
    if answer.returncode:
        where = "" if cwd == Path() else f" in {cwd}"
        said = " ".join(answer.stderr.split())[-MOST_SAID:]
        raise fails(f"dvc {' '.join(arguments)} failed{where}: {said}")
    return answer.stdout


def run_dvc(*arguments: str, cwd: Path = Path(), **settings: str) -> subprocess.CompletedProcess[str]:
    """What DVC answers, whatever it is. settings: more of the environment."""
    return subprocess.run(
        [*DVC, *arguments], cwd=cwd, env=stage_environment() | settings, capture_output=True, text=True, check=False
    )


def stage_environment() -> dict[str, str]:
    """What a process that runs stages needs: the `python` of their commands is this one."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
