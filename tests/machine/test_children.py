"""A process of ours does not outlive the one that started it, however that ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.workspace import REPO

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux sees to it")
POOL = """
import time
from components.machine.children import process_pool
with process_pool(3) as pool:
    list(pool.map(abs, range(3)))
    print(*pool._processes, flush=True)
    time.sleep(60)
"""
ORPHAN = """
import os, sys, time
from components.machine.children import die_with_parent
while os.getppid() == int(sys.argv[1]):
    time.sleep(0.01)
print(die_with_parent(), flush=True)
"""


def test_the_child_of_a_killed_process_ends(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    starts = """
import subprocess, sys, time
command = [sys.executable, "-m", "components.machine.children", "sleeper"]
child = subprocess.Popen(command, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""
    environment = {"PYTHONPATH": f"{REPO}:{tmp_path}"}
    parent = subprocess.Popen([sys.executable, "-c", starts], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    assert child.is_running()
    parent.kill()
    parent.wait(10)
    assert ends(child)


def test_the_workers_of_a_pool_end_with_the_process_that_made_it() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", POOL], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(REPO)}
    )
    assert parent.stdout is not None
    workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(workers) == 3
    parent.kill()
    parent.wait(10)
    assert all(map(ends, workers))


def test_a_process_whose_starter_has_ended_already_is_told() -> None:
    starts = f"import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', {ORPHAN!r}, str(os.getpid())])"
    # its session ends with this shell's: whoever adopts the orphan is of another
    answer = subprocess.run(
        ["sh", "-c", '"$0" -c "$1"; sleep 0', sys.executable, starts], capture_output=True, text=True, timeout=60,
        check=True, env={"PYTHONPATH": str(REPO)}, start_new_session=True,
    )  # fmt: skip
    assert answer.stdout.strip() == "False"


def ends(process: psutil.Process) -> bool:
    """Whether it has ended, or does within ten seconds."""
    deadline = time.monotonic() + 10
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
