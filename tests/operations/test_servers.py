"""Servers are started once, ended by their own id, and a number that was given again is another's."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from components.errors import ServerError
from components.operations.doctor import Finding, examine
from components.operations.servers import Server, answers, port_taken, running, start, stop
from components.operations.up import check_prefect, prefect_api, status


@pytest.fixture
def server() -> Server:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return Server("files", ("http.server", "--bind", "127.0.0.1", str(port)), port, f"http://127.0.0.1:{port}/")


def test_a_server_is_started_once_answers_and_is_gone_afterwards(server: Server, tmp_path: Path) -> None:
    assert start(server, tmp_path) is True
    process = running("files", tmp_path)
    assert process is not None
    assert start(server, tmp_path) is False
    assert answers(server.url)
    assert stop("files", tmp_path) is True
    assert not psutil.pid_exists(process.pid) or process.status() == psutil.STATUS_ZOMBIE
    assert not port_taken(server.port or 0)
    assert stop("files", tmp_path) is False


def test_a_port_in_use_is_said_and_nothing_is_started(server: Server, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", server.port or 0))
        other.listen()
        with pytest.raises(ServerError, match=rf"port {server.port} is in use .*LOOKOUT_FILES_PORT"):
            start(server, tmp_path)
    assert running("files", tmp_path) is None


def test_a_server_that_ends_at_once_gives_its_last_words(server: Server, tmp_path: Path) -> None:
    broken = replace(server, command=("components.no_such_module",))
    with pytest.raises(ServerError, match=r"did not start .*No module named components\.no_such_module"):
        start(broken, tmp_path)
    assert running("files", tmp_path) is None


def test_a_process_number_that_was_given_again_is_another_process(server: Server, tmp_path: Path) -> None:
    start(server, tmp_path)
    file = tmp_path / "files.pid.json"
    kept = json.loads(file.read_text())
    try:
        file.write_text(json.dumps(kept | {"created": kept["created"] - 100}))
        assert running("files", tmp_path) is None
        assert stop("files", tmp_path) is False
        assert answers(server.url)  # it was not ours to end
    finally:
        file.write_text(json.dumps(kept))
        stop("files", tmp_path)


def test_the_doctor_names_what_is_down_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prefect_api() is None
    assert [(name, healthy) for name, healthy, _ in status()] == [
        ("prefect", False), ("reports", False), ("mlflow", False), ("worker", False)]  # fmt: skip
    monkeypatch.setattr("components.operations.doctor.KNOWN_BAD", {"numpy": ("0.1", "it is too new")})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    found = {one.what: one for one in examine()}
    assert found["Python"].verdict == "ok"
    assert found["numpy"].verdict == "bad"
    assert found["numpy"].todo == "pip install 'numpy<0.1'"
    assert found["prefect"].todo == "make up"
    assert found["registry"] == Finding(
        "bad", "registry", "http://127.0.0.1:9 does not answer", "start it, or unset MLFLOW_TRACKING_URI"
    )


def test_a_server_that_is_gone_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    check_prefect()
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ServerError, match=r"Prefect's server at http://127\.0\.0\.1:9/api does not answer; `make up`"):
        check_prefect()


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_a_port_that_is_none_is_one_sentence(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKOUT_PREFECT_PORT", port)
    with pytest.raises(ServerError, match=r"LOOKOUT_PREFECT_PORT is .* want a port from 1 to 65535"):
        status()
