"""`make up` and `make down`: Prefect's server, MLflow's, the reports, one worker, deployments; all on loopback."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from components.errors import ServerError
from components.machine.dvc import stage_environment
from components.machine.home import lookout_home, main_checkout
from components.model_registry.address import mlflow_uri
from components.operations.pages import address
from components.operations.servers import LOOPBACK, Server, answers, mlflow_server, running, start, stop

PORTS = {"prefect": 4200, "mlflow": 5000, "reports": 4201}
POOL = "lookout"
CHECKOUT = "LOOKOUT_CHECKOUT"


def servers_folder() -> Path:
    """Where pid files and logs lie."""
    return lookout_home() / "servers"


def up() -> list[str]:
    """Starts what does not run yet; a line a server, and what to export. Raises ServerError.

    What was started by then stays up.
    """
    folder, lines = servers_folder(), list[str]()
    new_password = not _password_file().exists()
    _make_registry()
    for server in _servers():
        begun = start(server, folder)
        lines.append(f"{server.name:<8} {'started' if begun else 'runs already':<13} {server.url}")
    os.environ |= client_settings()
    _deploy()
    begun = start(_worker(), folder)
    lines.append(f"{'worker':<8} {'started' if begun else 'runs already':<13} pool {POOL}")
    return [*lines, *_what_to_export(new_password)]


def down() -> list[str]:
    """Ends exactly what `up` started, the worker and its runs first; a line each."""
    names = ("worker", "reports", "mlflow", "prefect")
    return [f"{name:<8} {'ended' if stop(name, servers_folder()) else 'did not run'}" for name in names]


def status() -> list[tuple[str, bool, str]]:
    """(name, whether it runs and answers, where) of each server and the worker."""
    rows: list[tuple[str, bool, str]] = []
    for server in (*_servers(), _worker()):
        process = running(server.name, servers_folder())
        healthy = process is not None and (server.health is None or answers(server.health))
        where = server.url if server.port is not None else f"pool {POOL}"
        rows.append((server.name, healthy, where if process is None else f"{where}  process {process.pid}"))
    return rows


def prefect_api() -> str | None:
    """The API of the Prefect server that `up` has started, None where it does not run."""
    if running("prefect", servers_folder()) is None:
        return None
    return f"http://{LOOPBACK}:{_port('prefect')}/api"


def client_settings() -> dict[str, str]:
    """What a client of the server that `up` has started needs in its environment; empty where it does not run."""
    api = prefect_api()
    return {} if api is None else {"PREFECT_API_URL": api, "PREFECT_API_AUTH_STRING": password()}


def password() -> str:
    """`lookout:...`, which Prefect's server asks for; made once and kept where only this user reads it.

    Without it any page that a browser on this machine shows could start runs here: the browser would send its request.
    """
    file = _password_file()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)
        file.write_text(f"lookout:{secrets.token_urlsafe(24)}")
    return file.read_text().strip()


def _password_file() -> Path:
    return servers_folder() / "prefect.auth"


def _what_to_export(new_password: bool) -> list[str]:
    kept = _password_file()
    told = f"Prefect asks for: {password()}" if new_password else f"Prefect asks for what stands in {kept}"
    lines = [told, "for commands of prefect and mlflow in this shell:", f"  export PREFECT_API_URL={prefect_api()}",
             f"  export PREFECT_API_AUTH_STRING=$(cat {shlex.quote(str(kept))})"]  # fmt: skip
    page = mlflow_page()
    return [*lines, f"  export MLFLOW_TRACKING_URI={page}"] if page else lines


def page_link(name: str, path: Path) -> str:
    """Markdown: a link where the reports are served, else the path, which no browser follows from Prefect's page."""
    shown = address(path) if running("reports", servers_folder()) is not None else None
    return f"{name}: `{path}`" if shown is None else f"[{name}](http://{LOOPBACK}:{_port('reports')}{quote(shown)})"


def check_prefect() -> None:
    """Raises ServerError where PREFECT_API_URL names a server that does not answer; without the name none is needed."""
    api = os.environ.get("PREFECT_API_URL")
    if api and not answers(f"{api.rstrip('/')}/health"):
        raise ServerError(
            f"Prefect's server at {api} does not answer; `make up` starts one here, unset PREFECT_API_URL to do without"
        )


def mlflow_page() -> str | None:
    """The MLflow server that people look at, None where there is none."""
    if mlflow_uri().startswith("http"):
        return mlflow_uri()
    return f"http://{LOOPBACK}:{_port('mlflow')}" if running("mlflow", servers_folder()) is not None else None


def _port(name: str) -> int:
    """The port that it runs on, else the one that it is to run on. Raises ServerError for a number that is none."""
    if running(name, servers_folder()) is not None:
        return json.loads((servers_folder() / f"{name}.pid.json").read_text())["port"]
    variable = f"LOOKOUT_{name.upper()}_PORT"
    text = os.environ.get(variable) or str(PORTS[name])
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ServerError(f"{variable} is {text!r}, want a port from 1 to 65535")
    return int(text)


def _servers() -> list[Server]:
    """Prefect's, the reports', and MLflow's, unless MLFLOW_TRACKING_URI names one that others run."""
    port = _port("prefect")
    pages = _port("reports")
    prefect = Server(
        "prefect", ("prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)), port,
        f"http://{LOOPBACK}:{port}/api/health",
        {"PREFECT_HOME": str(lookout_home() / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
         "PREFECT_SERVER_UI_API_URL": f"http://{LOOPBACK}:{port}/api",
         "PREFECT_SERVER_API_AUTH_STRING": password(),
         "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{LOOPBACK}:{port},http://localhost:{port}"},
    )  # fmt: skip
    reports = Server("reports", ("components.operations.pages", "--port", str(pages)), pages,
                     f"http://{LOOPBACK}:{pages}/", _paths())  # fmt: skip
    if mlflow_uri().startswith("http"):
        return [prefect, reports]
    return [prefect, reports, mlflow_server(_port("mlflow"), mlflow_uri(), (lookout_home() / "mlartifacts").as_uri())]


def _make_registry() -> None:
    """The local store as `register` makes it: whole or not at all."""
    if not mlflow_uri().startswith("http") and not (lookout_home() / "mlflow.db").exists():
        code = "from components.model_registry.registry import connect; connect()"
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | _paths(), capture_output=True)


def _worker() -> Server:
    command = ("prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", "lookout")
    return Server("worker", command, environment=_paths() | client_settings())


def _paths() -> dict[str, str]:
    """Where runs find this checkout's code, tools and home, and how often they say that they live."""
    return {
        CHECKOUT: str(main_checkout()),
        "LOOKOUT_HOME": str(lookout_home()),
        "PYTHONPATH": str(main_checkout()),
        "PATH": stage_environment()["PATH"],
        "PREFECT_HOME": str(lookout_home() / "prefect"),
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }


def _deploy() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "flows.deploy"], cwd=main_checkout(), env=os.environ | _paths(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if answer.returncode:
        said = (answer.stderr + answer.stdout).strip().splitlines()
        errors = [line for line in said if "Error" in line] or said or ["it said nothing"]
        raise ServerError(f"the deployments of prefect.yaml cannot be made: {errors[-1]}")
