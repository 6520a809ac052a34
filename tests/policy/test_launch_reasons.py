"""Why a training of several processes ended: the own sentence of the process that failed, where it has one."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from components.policy.launch import _why

TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nRuntimeError: size mismatch\n'


def failed(logs: Path, *ends: tuple[int, str]) -> Any:
    """What torch's launcher raises: an exit code and an error stream for each process."""
    failures = {}
    for rank, (code, text) in enumerate(ends):
        folder = logs / "lookout-sft_x/attempt_0" / str(rank)
        folder.mkdir(parents=True)
        (folder / "stderr.log").write_text(text)
        failures[rank] = SimpleNamespace(local_rank=rank, exitcode=code, pid=70 + rank, signal_name=lambda: "SIGKILL")
    return SimpleNamespace(failures=failures, get_first_failure=lambda: (0, failures[0]))


def test_the_own_sentence_of_any_process_is_the_reason(tmp_path: Path) -> None:
    error = failed(tmp_path, (1, TRACEBACK), (1, "14:00 INFO sft: starts\nerror: a.jpg cannot be read\n"))
    assert _why("sft", error, tmp_path) == "a.jpg cannot be read"


def test_without_one_it_is_the_last_line_of_the_traceback(tmp_path: Path) -> None:
    said = _why("sft", failed(tmp_path, (1, TRACEBACK + "[W1127 warning] leaked\n")), tmp_path)
    wanted = "ended by exit code 1, the others were stopped; it said last: RuntimeError: size mismatch"
    assert said == f"sft: process 0 (pid 70) {wanted}"


def test_a_process_that_was_killed_in_silence_is_named_with_the_likely_cause(tmp_path: Path) -> None:
    said = _why("sft", failed(tmp_path, (-9, "")), tmp_path)
    assert "ended by signal SIGKILL (so the kernel ends the largest process where memory runs out)" in said
    assert said.endswith("it said last: nothing")


def test_a_process_that_was_asked_to_end_before_it_trained_is_no_failure_of_its_own(tmp_path: Path) -> None:
    error = failed(tmp_path, (-15, ""), (-15, ""))
    said = _why("sft", error, tmp_path, [signal.SIGTERM])
    assert said.startswith("sft was asked to end (SIGTERM) and has saved nothing since: the same command goes on from")
