"""Servers on loopback: each with a pid file and a log of its own, waited for, and ended by its own id."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from components.errors import ServerError
from components.store.atomic import write_json

LOOPBACK = "127.0.0.1"
START_S, STOP_S = 180, 20
SOURCES = r"^(models:/m-[0-9a-f]{32}|runs:/[0-9a-f]{32}/.+)$"
"""What may become a model version: a model or run of this very server; no path or URL that a client makes up."""


@dataclass(frozen=True, slots=True)
class Server:
    """command: arguments of this Python's `-m`; health: a URL that answers 200 once it is up, or None."""

    name: str
    command: tuple[str, ...]
    port: int | None = None
    health: str | None = None
    environment: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


def mlflow_server(port: int, store: str, artifacts: str, *more: str) -> Server:
    """MLflow's tracking server and registry. store: an SQLAlchemy URL; artifacts: a folder or bucket."""
    options = ("--host", LOOPBACK, "--port", str(port), "--workers", "1", "--backend-store-uri", store,
               "--artifacts-destination", artifacts)  # fmt: skip
    return Server("mlflow", ("mlflow", "server", *options, *more), port, f"http://{LOOPBACK}:{port}/health",
                  {"MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": SOURCES,
                   "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})  # fmt: skip


def start(server: Server, folder: Path) -> bool:
    """Starts it and waits until it answers; False where it runs already. pid file and log go to `folder`.

    Raises ServerError where its port is taken, or it ends or stays silent.
    """
    if running(server.name, folder) is not None:
        return False
    if server.port is not None and port_taken(server.port):
        raise ServerError(
            f"{server.name} cannot start: port {server.port} is in use on {LOOPBACK}; end what uses it, or choose "
            f"another with LOOKOUT_{server.name.upper()}_PORT"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with _log(server.name, folder).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *server.command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=os.environ | server.environment, start_new_session=True,
        )  # fmt: skip
    created = psutil.Process(process.pid).create_time()
    write_json(_pid_file(server.name, folder), {"pid": process.pid, "created": created, "port": server.port})
    _wait(server, process, folder)
    return True


def _wait(server: Server, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while server.health is not None and not answers(server.health):
        if process.poll() is not None or time.monotonic() > deadline:
            said = _log(server.name, folder).read_text(errors="replace").strip().splitlines()
            stop(server.name, folder)
            raise ServerError(
                f"{server.name} did not start ({said[-1] if said else 'it said nothing'}); "
                f"{_log(server.name, folder)} has the rest"
            )
        time.sleep(0.2)


def stop(name: str, folder: Path) -> bool:
    """Ends the server and every process that it started, and no other; False where it does not run."""
    process = running(name, folder)
    if process is not None:
        family = [process, *process.children(recursive=True)]
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        _, alive = psutil.wait_procs(family, STOP_S)
        for one in alive:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(alive, STOP_S)
    _pid_file(name, folder).unlink(missing_ok=True)
    return process is not None


def running(name: str, folder: Path) -> psutil.Process | None:
    """The process that the pid file names, if it is that very one: a number that was given again is another's."""
    try:
        kept = json.loads(_pid_file(name, folder).read_text())
        process = psutil.Process(kept["pid"])
        same = process.create_time() == kept["created"] and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return None
    return process if same else None


def answers(url: str) -> bool:
    """Whether the URL answers 200 within five seconds."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def port_taken(port: int) -> bool:
    """Whether something listens on this port of loopback."""
    with socket.socket() as asked:
        return asked.connect_ex((LOOPBACK, port)) == 0


def _pid_file(name: str, folder: Path) -> Path:
    return folder / f"{name}.pid.json"


def _log(name: str, folder: Path) -> Path:
    return folder / f"{name}.log"
