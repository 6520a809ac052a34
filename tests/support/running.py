"""A checkout with `lookout up` behind it: runs started over the server's API, processes looked at and killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
from ruamel.yaml import YAML

from tests.support.backends import free_port
from tests.support.workspace import read_params, write_params

OTHER_WEIGHT = 0.37
"""Of the looking reward: what grpo and the stages behind it have to do again."""
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def copy_of(finished: Path, folder: Path) -> Path:
    """The finished checkout with an empty registry and a home of its own."""
    shutil.copytree(finished, folder, symlinks=True, ignore=shutil.ignore_patterns(".lookout"))
    stores, home = finished.with_name("empty-stores"), folder / ".lookout"
    (home / "prefect").mkdir(parents=True)
    shutil.copy(stores / "prefect.db", home / "prefect")
    shutil.copy(stores / "mlflow.db", home)
    tags = subprocess.check_output(["git", "tag"], cwd=folder, text=True).split()
    if tags:
        subprocess.run(["git", "tag", "-d", *tags], cwd=folder, check=True, capture_output=True)
    return folder


def change_weight(folder: Path, looking: float) -> None:
    params = read_params(folder)
    params["rewards"]["weights"]["looking"] = looking
    write_params(folder, params)


def outputs(folder: Path) -> dict[str, str]:
    """Digest of everything that the pipeline computes, but for files that tell times."""
    lock = YAML(typ="safe", pure=True).load((folder / "dvc.lock").read_text())
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage.get("outs", [])
            if out["path"].startswith(("models", "data", "reports/scores")) and not out["path"].endswith("metrics.json")
            and "predictions" not in out["path"]}  # fmt: skip


@dataclass
class Running:
    """The checkout, its environment and its server's API."""

    folder: Path
    environment: dict[str, str]
    client: httpx.Client
    _deployments: dict[str, str] = field(default_factory=dict)

    def lookout(self, *arguments: str) -> str:
        answer = subprocess.run([sys.executable, "-m", "components.cli.main", *arguments], cwd=self.folder, text=True,
                                env=self.environment, capture_output=True, check=False)  # fmt: skip
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    def run(self, deployment: str = "retrain/retrain", **parameters: Any) -> str:
        """Schedules a run at once; its ID."""
        if deployment not in self._deployments:
            self._deployments[deployment] = self.client.get(f"/deployments/name/{deployment}").json()["id"]
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}, "idempotency_key": str(uuid4())}
        return self.asked(f"/deployments/{self._deployments[deployment]}/create_flow_run", body)["id"]

    def asked(self, path: str, body: dict[str, Any]) -> Any:
        """The server's answer; where SQLite behind it is locked (503) it has done nothing and is asked again."""
        answer = until(
            lambda: got if (got := self.client.post(path, json=body)).status_code != 503 else None, 90, self.log
        )
        return answer.raise_for_status().json()

    def unschedule(self, deployment: str) -> None:
        """No schedule starts it any more: a test does."""
        found = self.client.get(f"/deployments/name/{deployment}").raise_for_status().json()
        for schedule in found["schedules"]:
            path = f"/deployments/{found['id']}/schedules/{schedule['id']}"
            until(lambda path=path: self.client.patch(path, json={"active": False}).is_success, 90, self.log)

    def state(self, run: str) -> tuple[str, str]:
        """(type, message) of a run's state."""
        state = self.client.get(f"/flow_runs/{run}").raise_for_status().json()["state"]
        return state["type"], state["message"] or ""

    def wait(self, run: str, seconds: float = 600, states: tuple[str, ...] = ENDED) -> tuple[str, str]:
        return until(lambda: found if (found := self.state(run))[0] in states else None, seconds, self.log)

    def flow_runs(self, flow: str) -> list[dict[str, Any]]:
        """Runs of a flow that a schedule did not make."""
        body = {"flows": {"name": {"any_": [flow]}}, "limit": 50}
        return [run for run in self.asked("/flow_runs/filter", body) if not run["auto_scheduled"]]

    def artifacts(self, key: str) -> list[Any]:
        """Content of the artifacts of this key, newest first."""
        body = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
        return [one["data"] for one in self.asked("/artifacts/filter", body)]

    def log(self) -> str:
        path = self.folder / ".lookout/servers/worker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def processes(self, *words: str) -> list[psutil.Process]:
        """Processes that work in this checkout or a worktree of it, with these words in their command."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                if Path(process.cwd()).is_relative_to(self.folder) and all(
                    word in " ".join(process.cmdline()) for word in words
                ):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def kill(self, process: psutil.Process) -> None:
        process.kill()
        until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 60)


def until(found: Callable[[], Any], seconds: float, said: Callable[[], str] = str) -> Any:
    """What `found` gives once that is something; AssertionError with the end of `said` where time runs out."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if answer := found():
                return answer
        except httpx.HTTPError:
            pass  # a server that was killed and comes back
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s; {said()[-3000:]}")


@contextmanager
def servers_up(folder: Path, **more: str) -> Iterator[Running]:
    """`lookout up` on free ports, and `lookout down`, behind which nothing of it may run."""
    ports = {"LOOKOUT_PREFECT_PORT": str(free_port()), "LOOKOUT_MLFLOW_PORT": str(free_port()),
             "LOOKOUT_REPORTS_PORT": str(free_port())}  # fmt: skip
    ours = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(folder),
            "LOOKOUT_HOME": str(folder / ".lookout")}  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_TRACKING"))}
    api = f"http://127.0.0.1:{ports['LOOKOUT_PREFECT_PORT']}/api"
    with httpx.Client(base_url=api, timeout=90) as client:  # SQLite itself waits 60 s for its lock
        running = Running(folder, kept | ours | ports | more, client)
        try:
            running.lookout("up")
            client.auth = tuple((folder / ".lookout/servers/prefect.auth").read_text().split(":"))
            yield running
        finally:
            running.lookout("down")
        assert until(lambda: running.processes() == [], 60) is True
