"""Serves the reports on loopback: browsers do not follow a link from Prefect's page to a file.

Only pages and pictures, only below three folders, only to who asks for this very address: a page of another site that
has its own name lead here (DNS rebinding) gets nothing.
"""

from __future__ import annotations

import argparse
import html
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.machine.home import lookout_home, main_checkout
from components.operations.servers import LOOPBACK

SHOWN = {".html", ".css", ".js", ".png", ".jpg", ".svg", ".json", ".csv"}
POLICY = "default-src 'self' data: 'unsafe-inline'; connect-src 'none'; form-action 'none'; frame-ancestors 'none'"
"""A page shows itself and asks nobody, whatever a dataset's names put into it."""


def roots() -> dict[str, Path]:
    """First part of an address -> the folder that it shows."""
    home = lookout_home()
    return {"reports": main_checkout() / "reports", "runs": home / "mlartifacts", "validation": home / "validation"}


def address(path: Path) -> str | None:
    """Where the server shows a file, without its host; None for what it does not show."""
    for name, root in roots().items():
        if path.resolve().is_relative_to(root.resolve()):
            return f"/{name}/{path.resolve().relative_to(root.resolve()).as_posix()}"
    return None


class Pages(SimpleHTTPRequestHandler):
    """GET and HEAD of the pages."""

    def __init__(self, *arguments: object, shown: dict[str, Path], hosts: set[str]) -> None:
        self.shown, self.hosts = shown, hosts
        super().__init__(*arguments)  # pyright: ignore[reportArgumentType]  (the handler's own three)

    def send_head(self) -> object:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.headers.get("Host") not in self.hosts:
            return self.send_error(HTTPStatus.FORBIDDEN, "another host's name")
        if urlsplit(self.path).path == "/":
            return self._index()
        if not Path(self.translate_path(self.path)).is_file():
            return self.send_error(HTTPStatus.NOT_FOUND)
        return super().send_head()

    def translate_path(self, path: str) -> str:
        """The file of an address; /dev/null where it leaves its folder or is none that is shown."""
        _, name, *rest = unquote(urlsplit(path).path).split("/")
        root = self.shown.get(name)
        if root is None or "\0" in "/".join(rest) or not rest:
            return "/dev/null"
        file = (root / "/".join(rest).lstrip("/")).resolve()
        return str(file) if file.is_relative_to(root.resolve()) and file.suffix in SHOWN else "/dev/null"

    def _index(self) -> None:
        found = sorted(file for root in self.shown.values() for file in root.glob("**/*.html") if file.is_file())
        links = [html.escape(link) for file in found if (link := address(file))]
        page = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
        body = f"<!doctype html><meta charset=utf-8><title>Lookout's reports</title><ul>{page}</ul>".encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    handler = partial(Pages, shown=roots(), hosts={f"{LOOPBACK}:{port}", f"localhost:{port}"})
    with ThreadingHTTPServer((LOOPBACK, port), handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
