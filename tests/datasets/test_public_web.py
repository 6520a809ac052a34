"""Downloads: public addresses only, checked where the connection goes; no credentials; bounded in time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from components.datasets.public_web import NotFetchedError, download, is_public

LOOPBACK = ("127.0.0.1",)


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Its URL, and the headers that it was sent."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({key.lower(): value for key, value in self.headers.items()})
            target = self.path.removeprefix("/to/")
            if target != self.path:
                self.send_response(302)
                self.send_header("Location", target)
                self.send_header("Set-Cookie", "a=b")
                self.end_headers()
            elif self.path.startswith("/drip"):
                self._drip()
            else:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"bytes")

        def _drip(self) -> None:
            if self.path == "/drip/head":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            else:
                self.send_response(200)
                self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x")
                    time.sleep(0.05)
            except OSError:
                return

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}", seen
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def get(url: str, most_s: float = 20.0, hosts: tuple[str, ...] = LOOPBACK) -> Any:
    return download(url, 5.0, most_s, 1000, hosts)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "fc00::1",
     "fe80::1%eth0", "::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1"],
)  # fmt: skip
def test_an_address_of_ones_own_network_is_not_public(address: str) -> None:
    assert not is_public(address)


def test_an_address_of_the_internet_is_public() -> None:
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


def test_loopback_is_asked_only_where_a_param_names_it(server: Any) -> None:
    url, seen = server
    assert get(url)[2] == b"bytes"
    for other in (url, url.replace("127.0.0.1", "2130706433"), url.replace("127.0.0.1", "localhost")):
        with pytest.raises(NotFetchedError, match="its host is not public"):
            get(other, hosts=())
    assert len(seen) == 1


def test_a_redirect_is_checked_as_the_first_url_was(server: Any) -> None:
    url, seen = server
    assert get(f"{url}/to//there")[2] == b"bytes"
    assert "cookie" not in seen[-1]
    port = url.rpartition(":")[2]
    for target, why in (
        (f"http://localhost:{port}/", "its host is not public"),
        ("file:///etc/passwd", "the URL leads nowhere"),
        ("http://[::1", "the URL leads nowhere"),
        ("/to//to//to//to//to//to//to//to//to//to//to//x", "the URL leads nowhere"),
    ):
        before = len(seen)
        with pytest.raises(NotFetchedError, match=why):
            get(f"{url}/to/{target}")
        assert len(seen) - before == (10 if target.startswith("/") else 1)


def test_the_connection_goes_to_the_address_that_was_checked(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url, seen = server
    answers = iter(["93.184.215.14", "127.0.0.1"])  # public when asked first, loopback the second time
    real, asked = socket.getaddrinfo, []

    def resolve(host: str, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        return real(next(answers) if host == "turns.example" else host, *rest, **more)

    def connect(address: tuple[str, int], *rest: Any) -> socket.socket:
        raise ConnectionRefusedError(f"{address[0]} was the address")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    with pytest.raises(NotFetchedError, match="no connection") as refused:
        get(url.replace("127.0.0.1", "turns.example"))
    assert "93.184.215.14 was the address" in str(refused.value.__cause__)
    assert (asked, seen) == (["turns.example"], [])


def test_no_password_is_sent(server: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    url, seen = server
    assert get(url.replace("//", "//me:secret@"))[2] == b"bytes"
    assert "authorization" not in seen[-1]


@pytest.mark.parametrize("path", ["/drip/head", "/drip/body"])
def test_a_server_that_drips_is_cut_off(server: Any, path: str) -> None:
    begun = time.monotonic()
    with pytest.raises(NotFetchedError, match=r"not done within 0\.5 s"):
        download(server[0] + path, 5.0, 0.5, 1 << 20, LOOPBACK)
    assert time.monotonic() - begun < 4


def test_a_body_that_is_too_large_is_refused(server: Any) -> None:
    with pytest.raises(NotFetchedError, match="larger than 3 bytes"):
        download(server[0], 5.0, 20.0, 3, LOOPBACK)
