"""A page of another site that a browser on this machine shows can start nothing and read nothing on our servers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from components.operations import up
from components.operations.pages import Pages, address, roots
from components.operations.servers import start, stop
from tests.support.backends import free_port

EVIL = {"Origin": "http://evil.example", "Content-Type": "application/json"}
REBOUND = {"Host": "evil.example", "Content-Type": "application/json"}
SEARCH = {
    "prefect": ("/api/flow_runs/filter", {}),
    "mlflow": ("/api/2.0/mlflow/experiments/search", {"max_results": 1}),
}


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """The reports' server on a report, a file that is none, and a link that leads out."""
    monkeypatch.setattr("components.operations.pages.main_checkout", lambda: tmp_path)
    (tmp_path / "reports/evaluation").mkdir(parents=True)
    (tmp_path / "reports/evaluation/report.html").write_text("the report")
    (tmp_path / "reports/model.safetensors").write_text("weights")
    (tmp_path / "secret.html").write_text("a secret")
    (tmp_path / "reports/link.html").symlink_to(tmp_path / "secret.html")
    handler: partial[Pages] = partial(Pages, shown=roots(), hosts=set())
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        handler.keywords["hosts"].add(url.removeprefix("http://"))
        Thread(target=server.serve_forever, daemon=True).start()
        with httpx.Client(base_url=url) as client:
            yield client
        server.shutdown()


def test_the_reports_are_served_and_say_that_they_ask_nobody(pages: httpx.Client, tmp_path: Path) -> None:
    answer = pages.get(address(tmp_path / "reports/evaluation/report.html") or "")
    assert (answer.status_code, answer.text) == (200, "the report")
    assert "connect-src 'none'" in answer.headers["Content-Security-Policy"]
    assert '<a href="/reports/evaluation/report.html">' in pages.get("/").text


@pytest.mark.parametrize(
    "path",
    ["/reports/model.safetensors", "/reports/link.html", "/reports/../secret.html", "/reports/%2e%2e/secret.html",
     "/reports", "/reports/evaluation", "/secret.html", "//etc/passwd", "/reports//etc/passwd", "/reports/%00.html"],
)  # fmt: skip
def test_nothing_but_a_page_below_its_folder_is_served(pages: httpx.Client, path: str) -> None:
    assert pages.get(path).status_code == 404


def test_another_hosts_name_for_this_address_gets_nothing(pages: httpx.Client) -> None:
    for path in ("/", "/reports/evaluation/report.html"):
        assert pages.get(path, headers={"Host": "evil.example"}).status_code == 403


def test_the_password_is_made_once_and_only_its_owner_reads_it(own_home: Path) -> None:
    first = up.password()
    assert up.password() == first
    assert len(first) > 30
    assert (own_home / "servers/prefect.auth").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_another_sites_page_can_neither_start_nor_read_anything(
    empty_stores: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PREFECT", "MLFLOW", "REPORTS"):
        monkeypatch.setenv(f"LOOKOUT_{name}_PORT", str(free_port()))
    (own_home / "prefect").mkdir(parents=True)
    shutil.copy(empty_stores / "prefect.db", own_home / "prefect")
    shutil.copy(empty_stores / "mlflow.db", own_home)
    servers = {server.name: server for server in up._servers()}
    try:
        for server in servers.values():
            start(server, up.servers_folder())
        for name, (path, body) in SEARCH.items():
            with httpx.Client(base_url=servers[name].url, timeout=60) as client:
                for headers in (EVIL, REBOUND):
                    answer = client.post(path, json=body, headers=headers)
                    assert answer.status_code in (401, 403), (name, headers, answer.text)
                    assert answer.headers.get("access-control-allow-origin") is None
                asked = EVIL | {
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "authorization",
                }
                assert client.options(path, headers=asked).headers.get("access-control-allow-origin") is None
                user, _, word = up.password().partition(":")
                answer = client.post(path, json=body, auth=(user, word) if name == "prefect" else None)
                assert answer.status_code == 200, answer.text
    finally:
        for name in servers:
            stop(name, up.servers_folder())
