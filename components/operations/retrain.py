"""`lookout retrain`: a run of the deployment `retrain` on the server that `make up` started."""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from components.errors import ServerError
from components.graph.compose import composed, overridden
from components.operations.up import client_settings
from components.params.reading import PARAMS_FILE

DEPLOYMENT = "/deployments/name/retrain/retrain"
PATIENCE_S = 90
"""SQLite behind the server waits 60 s for its own lock."""
BUSY = 503
"""Prefect's answer where two of its writers met in SQLite: it has done nothing, and asks to be asked again."""


def retrain(profile: str, overrides: Sequence[str], promote: str, new_datasets: bool) -> tuple[str, str]:
    """Schedules a run at once; its name and its page. Raises ParamsError before anything is asked, else ServerError."""
    overridden(composed(profile) if profile else PARAMS_FILE.read_text(), overrides, new_datasets)
    settings = client_settings() if "PREFECT_API_URL" not in os.environ else dict(os.environ)
    if "PREFECT_API_URL" not in settings:
        raise ServerError("no server of Prefect runs here; `make up` starts one, `dvc repro` runs without one")
    deployment = _ask(settings, DEPLOYMENT)
    parameters = {"profile": profile, "overrides": list(overrides), "promote": promote, "new_datasets": new_datasets}
    body = {"parameters": parameters, "state": {"type": "SCHEDULED"}, "idempotency_key": str(uuid4())}
    run = _ask(settings, f"/deployments/{deployment['id']}/create_flow_run", body)
    page = settings["PREFECT_API_URL"].rstrip("/").removesuffix("/api")
    return run["name"], f"{page}/runs/flow-run/{run['id']}"


def _ask(settings: dict[str, str], path: str, body: dict[str, Any] | None = None) -> Any:
    """The server's answer; a busy one is asked again for PATIENCE_S."""
    url = settings["PREFECT_API_URL"].rstrip("/") + path
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    words = settings.get("PREFECT_API_AUTH_STRING")
    if words:
        request.add_header("Authorization", f"Basic {base64.b64encode(words.encode()).decode()}")
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code != BUSY or time.monotonic() > deadline:
                raise ServerError(_refused(settings["PREFECT_API_URL"], error)) from None
            time.sleep(0.5)
        except OSError as error:
            raise ServerError(f"Prefect's server at {settings['PREFECT_API_URL']} does not answer ({error})") from None


def _refused(server: str, error: urllib.error.HTTPError) -> str:
    why = {401: "it asks for a password: PREFECT_API_AUTH_STRING=name:password",
           404: "it has no deployment retrain: `make up` makes it",
           BUSY: f"it was busy for {PATIENCE_S} s"}.get(error.code, error.reason)  # fmt: skip
    return f"Prefect's server at {server} answered {error.code}; {why}"
