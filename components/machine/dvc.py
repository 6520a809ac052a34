"""DVC as a program: one way to run it beside its graph, and what it says where it fails as one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from components.errors import DataError, LookoutError

DVC = (sys.executable, "-m", "dvc")
MOST_SAID = 300
"""Characters of what DVC said that an error repeats: the end, where the reason stands."""
IN_USE = Path(".dvc/tmp/rwlock")
"""DVC's record, as JSON, of which process reads or writes which path. Cut by a kill, it stops every later command."""


def dvc(*arguments: str, cwd: Path = Path(), fails: type[LookoutError] = LookoutError) -> str:
    """What DVC prints. Raises `fails` with the end of what it said where it ends with an error."""
    answer = run_dvc(*arguments, cwd=cwd)
    if answer.returncode:
        where = "" if cwd == Path() else f" in {cwd}"
        said = " ".join(answer.stderr.split())[-MOST_SAID:]
        mend = "; `lookout doctor --repair` takes it away" if in_use_is_torn(cwd) else ""
        raise fails(f"dvc {' '.join(arguments)} failed{where}: {said}{mend}")
    return answer.stdout


def run_dvc(*arguments: str, cwd: Path = Path(), **settings: str) -> subprocess.CompletedProcess[str]:
    """What DVC answers, whatever it is. settings: more of the environment."""
    return subprocess.run(
        [*DVC, *arguments], cwd=cwd, env=stage_environment() | settings, capture_output=True, text=True, check=False
    )


def stage_environment() -> dict[str, str]:
    """What a process that runs stages needs: the `python` of their commands is this one."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def in_use_is_torn(checkout: Path = Path()) -> bool:
    """Whether a kill has cut IN_USE."""
    try:
        json.loads((checkout / IN_USE).read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


def free_in_use() -> str | None:
    """Takes IN_USE away where it is torn and says so, else None: DVC makes it anew and leaves out processes that ended.

    Raises DataError where a command of DVC holds it.
    """
    if not in_use_is_torn():
        return None
    from dvc.lock import LockError, make_lock

    guard = make_lock(str(IN_USE.with_name("rwlock.lock")), tmp_dir=str(IN_USE.parent))  # it writes under this one
    try:
        with guard:
            if not in_use_is_torn():
                return None
            IN_USE.unlink()
    except LockError:
        raise DataError(f"{IN_USE} is held by a command of DVC; wait for it, then say it again") from None
    return f"{IN_USE} was torn (DVC's record of which paths are in use): it is taken away, DVC makes it anew"
