"""`lookout retrain`: refused before anything is asked, or a run of the deployment with what was set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import pytest

from components.errors import ParamsError, ServerError
from components.operations.retrain import retrain
from tests.support.workspace import REPO


class Api(BaseHTTPRequestHandler):
    """What of Prefect's API a retraining asks."""

    posted: ClassVar[list[dict]] = []
    busy: ClassVar[int] = 0
    """So many questions are answered by 503 before one is taken."""

    def do_GET(self) -> None:
        found = self.path == "/api/deployments/name/retrain/retrain"
        self.answer(200 if found else 404, {"id": "d"})

    def do_POST(self) -> None:
        self.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))) | {"path": self.path})
        if Api.busy:
            Api.busy -= 1
            self.answer(503, {})
        else:
            self.answer(201, {"id": "r", "name": "wise-owl"})

    def answer(self, code: int, body: dict) -> None:
        self.send_response(code if self.headers["Authorization"] == "Basic bG9va291dDp4" else 401)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(REPO)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "lookout:x")
    Api.posted.clear()
    Api.busy = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_run_is_scheduled_with_what_was_set(api: str) -> None:
    assert retrain("", ["grpo.max_steps=7"], "ask", False) == ("wise-owl", f"{api}/runs/flow-run/r")
    (posted,) = Api.posted
    assert posted["path"] == "/api/deployments/d/create_flow_run"
    assert posted["parameters"] == {"profile": "", "overrides": ["grpo.max_steps=7"], "promote": "ask",
                                    "new_datasets": False}  # fmt: skip


def test_a_busy_server_is_asked_again_for_the_same_run(api: str) -> None:
    Api.busy = 2
    assert retrain("", [], "never", False)[0] == "wise-owl"
    assert len(Api.posted) == 3
    assert len({posted["idempotency_key"] for posted in Api.posted}) == 1


def test_a_server_that_stays_busy_is_one_sentence(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.operations.retrain.PATIENCE_S", 1)
    Api.busy = 100
    with pytest.raises(ServerError, match="answered 503; it was busy for 1 s"):
        retrain("", [], "never", False)


def test_what_does_not_fit_is_refused_before_the_server_is_asked(api: str) -> None:
    with pytest.raises(ParamsError, match="which is no parameter"):
        retrain("", ["grpo.max_stesp=7"], "never", False)
    assert Api.posted == []


def test_a_server_that_asks_for_another_password_is_one_sentence(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "lookout:wrong")
    with pytest.raises(ServerError, match="answered 401; it asks for a password"):
        retrain("", [], "never", False)


def test_no_server_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(ServerError, match="no server of Prefect runs here; `make up` starts one"):
        retrain("", [], "never", False)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ServerError, match="does not answer"):
        retrain("", [], "never", False)
