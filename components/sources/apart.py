"""A reader at risk in a process of its own: a file made to harm ends that process, by its limits, and not ours."""

from __future__ import annotations

import multiprocessing
import resource
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from components.errors import SourceError
from components.machine.children import die_with_parent

MOST_WAIT = 20
"""A process that does not use its time (it waits for something) ends after so many times as long."""


def run_apart(read: Callable[..., bytes], arguments: tuple[Any, ...], most_s: int, most_bytes: int, name: str) -> bytes:
    """What `read(*arguments)` gives. Raises SourceError where it needs more CPU seconds or memory, or crashes.

    `read` is a function of a module, and gives bytes: whoever asked decides how far to trust them.
    """
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([read.__module__])
    ours, theirs = server.Pipe(duplex=False)
    process = server.Process(target=_run, args=(theirs, read, arguments, most_s, most_bytes), daemon=True)
    process.start()
    theirs.close()
    try:
        if ours.poll(most_s * MOST_WAIT):
            return ours.recv_bytes()
    except (EOFError, OSError):
        pass
    finally:
        process.kill()
        process.join()
        ours.close()
    raise SourceError(
        f"{name}: its reader crashed, or needed more than {most_s} s or {most_bytes >> 20} MiB; is the file "
        "damaged, or made to harm?"
    )


def _run(
    answer: Connection, read: Callable[..., bytes], arguments: tuple[Any, ...], most_s: int, most_bytes: int
) -> None:
    if not die_with_parent(signal.SIGKILL):
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (most_s, most_s))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most_bytes = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    answer.send_bytes(read(*arguments))
