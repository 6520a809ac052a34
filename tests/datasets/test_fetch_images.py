"""`lookout fetch-images` against a server on loopback: dead URLs, wrong bytes, tries again, going on, the report."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components.datasets import fetch as module
from components.datasets.fetch import fetch_images
from components.errors import ParamsError, SourceError
from components.params.datasets import DatasetParams
from tests.support.layouts import picture


class Server:
    """Pages by path; how often each was asked for."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.pages: dict[str, list[tuple[int, bytes]]] = {}
        self.asked: Counter[str] = Counter()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "WAIT_S", 0.01)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = known.pages.get(self.path, [(404, b"gone")])
            status, body = answers[min(known.asked[self.path], len(answers) - 1)]
            known.asked[self.path] += 1
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Server(httpd.server_port)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield known
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def image(folder: Path, seed: int, kind: str = "png") -> bytes:
    picture(folder / f"{seed}.{kind}", seed)
    return (folder / f"{seed}.{kind}").read_bytes()


def dataset(root: Path, urls: dict[str, str]) -> DatasetParams:
    rows = [
        {"image_url": url, "image_sha256": digest, "count": 1, "label": "cat", "points": [{"x": 1.0, "y": 1.0}]}
        for digest, url in urls.items()
    ]
    (root / "data").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), root / "data/train-0.parquet")
    fetch = {"workers": 3, "tries": 3, "timeout_s": 5.0, "most_bytes": 50_000, "hosts": ["127.0.0.1"]}
    values = {"format": "pixmo_count", "task": "count", "root": str(root), "role": "train", "licence": "x"}
    return DatasetParams.model_validate(values | {"annotations": {"train": "data/train-*.parquet"}, "fetch": fetch})


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_lives_is_fetched_and_verified_and_what_died_is_reported(server: Server, tmp_path: Path) -> None:
    good, flaky, other = image(tmp_path, 1), image(tmp_path, 2, "jpg"), image(tmp_path, 3)
    text, large = b"<html>sold</html>", b"x" * 60_000
    pages = {"/good": [(200, good)], "/flaky": [(503, b""), (429, b""), (200, flaky)], "/swapped": [(200, good)],
             "/text": [(200, text)], "/large": [(200, large)], "/down": [(500, b"")]}  # fmt: skip
    server.pages = pages
    closed = "http://127.0.0.1:9/x"
    names = {digest(good): "/good", digest(flaky): "/flaky", digest(other): "/swapped", digest(text): "/text",
             digest(large): "/large", "1" * 64: "/gone", "2" * 64: "/down"}  # fmt: skip
    urls = {key: server.url + path for key, path in names.items()} | {"3" * 64: closed, "4" * 64: "ftp://x/y"}
    root = tmp_path / "raw"
    report = fetch_images("cats", dataset(root, urls))
    assert sorted(path.name for path in (root / "images").iterdir()) == sorted(
        [f"{digest(good)}.png", f"{digest(flaky)}.jpg"]
    )
    assert (report["wanted"], report["images"], report["fetched_now"]) == (9, 2, 2)
    reasons = {one["sha256"]: (one["reason"], one["tries"]) for one in report["dead"]}
    assert reasons == {
        digest(other): ("other bytes than the SHA-256 says", 1),
        digest(text): ("not an image", 1),
        digest(large): ("larger than 50000 bytes", 1),
        "1" * 64: ("status 404", 1),
        "2" * 64: ("status 500", 3),
        "3" * 64: ("no connection", 3),
        "4" * 64: ("no URL", 0),
    }
    assert json.loads((root / "fetch_report.json").read_text()) == report
    assert server.asked["/flaky"] == 3
    assert server.asked["/gone"] == 1


def test_it_goes_on_where_it_stopped_and_asks_for_nothing_twice(server: Server, tmp_path: Path) -> None:
    one, two = image(tmp_path, 1), image(tmp_path, 2)
    server.pages = {"/one": [(200, one)], "/two": [(404, b""), (200, two)]}
    data = dataset(tmp_path / "raw", {digest(one): server.url + "/one", digest(two): server.url + "/two"})
    (tmp_path / "raw/images").mkdir()
    (tmp_path / "raw/images" / f".partial-{digest(one)}.png-abc").write_bytes(one[:10])  # a kill left this
    first, second = fetch_images("cats", data), fetch_images("cats", data)
    assert (first["images"], first["reasons"]) == (1, {"status 404": 1})
    assert (second["images"], second["fetched_now"], second["reasons"]) == (2, 1, {})
    assert server.asked["/one"] == 1
    assert first["sha256_of_the_list"] != second["sha256_of_the_list"]
    assert len(list((tmp_path / "raw/images").iterdir())) == 2


def test_where_nothing_can_be_had_it_says_so(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none of its 1 images could be fetched; fetch_report\.json says why"):
        fetch_images("cats", dataset(tmp_path / "raw", {"1" * 64: server.url + "/gone"}))


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://" + "a" * 70 + ".invalid/", "http://x:99999999/"])
def test_a_url_that_leads_nowhere_is_a_reason_like_any_other(tmp_path: Path, url: str) -> None:
    data = dataset(tmp_path / "raw", {"1" * 64: url})
    with pytest.raises(SourceError, match="none of its 1 images could be fetched"):
        fetch_images("cats", data)
    report = json.loads((tmp_path / "raw/fetch_report.json").read_text())
    assert report["reasons"] == {"the URL leads nowhere": 1}


def test_a_wait_that_is_no_number_is_no_wait() -> None:
    assert [module._retry_after({"Retry-After": text}) for text in ("7", "²", "soon", "")] == [7.0, 0.0, 0.0, 0.0]


def test_damaged_bytes_of_the_right_digest_are_no_image(server: Server, tmp_path: Path) -> None:
    header = b"IHDR" + b"\0\0\0\1"  # of four bytes instead of thirteen: Pillow raises ValueError
    content = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\4" + header + zlib.crc32(header).to_bytes(4, "big")
    server.pages = {"/x": [(200, content)]}
    with pytest.raises(SourceError, match="none of its 1 images"):
        fetch_images("cats", dataset(tmp_path / "raw", {digest(content): server.url + "/x"}))
    assert json.loads((tmp_path / "raw/fetch_report.json").read_text())["reasons"] == {"not an image": 1}


def test_a_format_that_comes_with_its_images_is_refused(tmp_path: Path) -> None:
    params = dataset(tmp_path, {"1" * 64: "x"}).model_copy(update={"format": "coco"})
    with pytest.raises(ParamsError, match="is coco, whose images come with it"):
        fetch_images("cats", params)


def test_a_fetch_that_is_stopped_leaves_its_report(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = image(tmp_path, 1)
    server.pages = {"/good": [(200, good)]}
    data = dataset(tmp_path / "raw", {digest(good): server.url + "/good", "1" * 64: server.url + "/stop"})

    def stop(url: str, *_: object) -> bytes:
        if url.endswith("stop"):
            raise KeyboardInterrupt
        return good

    monkeypatch.setattr(module, "_download", stop)
    with pytest.raises(KeyboardInterrupt):
        fetch_images("cats", data)
    report = json.loads((tmp_path / "raw/fetch_report.json").read_text())
    assert (report["images"], report["reasons"]) == (1, {"not asked: it was stopped": 1})


def test_each_picture_of_the_right_digest_is_kept_whatever_its_format(server: Server, tmp_path: Path) -> None:
    kinds = {"GIF": "gif", "AVIF": "avif", "TIFF": "tif", "WEBP": "webp", "MPO": "jpg"}
    contents: dict[str, bytes] = {}
    for number, kind in enumerate(kinds):
        plain, buffer = Image.new("RGB", (32, 24), (9 * number, 1, 2)), io.BytesIO()
        plain.save(buffer, kind, **({"save_all": True, "append_images": [plain]} if kind == "MPO" else {}))
        contents[kind] = buffer.getvalue()
    server.pages = {f"/{kind}": [(200, content)] for kind, content in contents.items()}
    urls = {digest(content): f"{server.url}/{kind}" for kind, content in contents.items()}
    report = fetch_images("cats", dataset(tmp_path / "raw", urls))
    assert report["reasons"] == {}
    names = {path.name for path in (tmp_path / "raw/images").iterdir()}
    assert names == {f"{digest(contents[kind])}.{suffix}" for kind, suffix in kinds.items()}
