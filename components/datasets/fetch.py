"""`lookout fetch-images`: the images of a dataset that is published as URLs, each verified by its SHA-256.

An image lies in the dataset's folder under its digest, so the same command goes on where it stopped and asks for
nothing twice. URLs die: what could not be had is reported with its reason, and the dataset is what is left.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from components.datasets.public_web import NotFetchedError, download
from components.errors import ImageError, ParamsError, SourceError
from components.machine.progress import progress
from components.params.datasets import DatasetParams, FetchParams
from components.sources import pixmo_count
from components.store.atomic import atomic_file, write_json
from components.store.image_files import FORMATS, decode

log = logging.getLogger("lookout.fetch")
REPORT = "fetch_report.json"
WAIT_S = 1.0
AGAIN = {408, 425, 429, 500, 502, 503, 504}
"""HTTP statuses that may pass."""
MOST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one image; reason: None where it lies in the folder."""

    sha256: str
    url: str | None
    reason: str | None
    tries: int


URLS: dict[str, Callable[[Path], Iterable[pixmo_count.CountRow]]] = {"pixmo_count": pixmo_count.rows}
"""Formats whose annotations name URLs, and what reads them."""


def fetch_images(name: str, dataset: DatasetParams) -> dict[str, Any]:
    """Downloads what is missing into the dataset's folder of images and writes its report; the report.

    Raises SourceError where the annotations cannot be read, ParamsError where the format has no URLs.
    """
    from components.sources.reading import annotation_paths, check_layout

    if dataset.format not in URLS:
        raise ParamsError(
            f"datasets.{name}.format is {dataset.format}, whose images come with it; URLs have {sorted(URLS)}"
        )
    root = Path(dataset.root)
    check_layout(name, root, dataset)
    wanted: dict[str, str | None] = {}
    for split in dataset.annotations:
        for path in annotation_paths(root, dataset, split):
            for row in URLS[dataset.format](path):
                wanted[row.sha256] = wanted.get(row.sha256) or row.url
    folder = root / (dataset.image_folder(next(iter(dataset.annotations))) or pixmo_count.IMAGES)
    folder.mkdir(parents=True, exist_ok=True)
    there = {path.stem for path in folder.iterdir()}
    missing = {digest: url for digest, url in wanted.items() if digest not in there}
    outcomes: list[Outcome] = []
    try:
        outcomes.extend(_fetch_all(missing, folder, dataset.fetch, name))
    finally:  # the report of a fetch that was stopped says what was not asked for
        asked = {outcome.sha256 for outcome in outcomes}
        left = [
            Outcome(digest, url, "not asked: it was stopped", 0)
            for digest, url in missing.items()
            if digest not in asked
        ]
        report = _report(wanted, outcomes + left)
        write_json(root / REPORT, report)
    if wanted and not report["images"]:
        raise SourceError(f"{root}: none of its {len(wanted)} images could be fetched; {REPORT} says why")
    return report


def _report(wanted: dict[str, str | None], outcomes: list[Outcome]) -> dict[str, Any]:
    dead = [outcome for outcome in outcomes if outcome.reason is not None]
    gone = {outcome.sha256 for outcome in dead}
    have = sorted(digest for digest in wanted if digest not in gone)
    return {
        "schema": "fetch/1",
        "wanted": len(wanted),
        "images": len(have),
        "fetched_now": len(outcomes) - len(dead),
        "sha256_of_the_list": hashlib.sha256("\n".join(have).encode()).hexdigest(),
        "reasons": dict(sorted(Counter(str(outcome.reason) for outcome in dead).items())),
        "dead": [
            {"sha256": one.sha256, "url": one.url, "reason": one.reason, "tries": one.tries}
            for one in sorted(dead, key=lambda one: one.sha256)
        ],
    }


def _fetch_all(missing: dict[str, str | None], folder: Path, params: FetchParams, name: str) -> Iterator[Outcome]:
    with ThreadPoolExecutor(params.workers) as pool:
        fetch = partial(_fetch, folder, params)
        yield from progress(pool.map(fetch, missing.items()), f"fetch {name}", len(missing))


def _fetch(folder: Path, params: FetchParams, one: tuple[str, str | None]) -> Outcome:
    """One image, tried again where that may help. Never raises for what a URL or a server does."""
    digest, url = one
    if not url or not url.lower().startswith(("http://", "https://")):
        return Outcome(digest, url, "no URL", 0)
    reason = ""
    for number in range(1, params.tries + 1):
        try:
            content = _download(url, params)
        except NotFetchedError as error:
            reason = str(error)
            if error.wait_s is None or number == params.tries:
                return Outcome(digest, url, reason, number)
            time.sleep(min(error.wait_s or WAIT_S * 2 ** (number - 1), MOST_WAIT_S))
        else:
            return Outcome(digest, url, _keep(content, digest, folder), number)
    return Outcome(digest, url, reason, params.tries)


def _download(url: str, params: FetchParams) -> bytes:
    status, headers, content = download(url, params.timeout_s, params.most_s, params.most_bytes, params.hosts)
    if status != 200:
        raise NotFetchedError(f"status {status}", _retry_after(headers) if status in AGAIN else None)
    return content


def _retry_after(headers: Any) -> float:
    text = headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _keep(content: bytes, digest: str, folder: Path) -> str | None:
    """Puts the image in place under its digest; why not, where it is another one or none."""
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        return "other bytes than the SHA-256 says"
    try:
        suffix = FORMATS[decode(content, digest).kind][0]
    except ImageError as error:
        return "not an image" if error.defect in {"unreadable", "empty", "truncated"} else error.defect
    with atomic_file(folder / f"{digest}{suffix}") as partial_file:
        partial_file.write_bytes(content)
    return None
