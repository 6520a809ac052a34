"""PixMo-Count: data/<split>-*.parquet, and images/<sha256>.<type>, which `lookout fetch-images` brings.

A row is image_url, image_sha256, count, label, points (x y in pixels; none in the val and test splits). One image may
stand in several rows, each with a question of its own. A row whose image has not been fetched is noted: URLs die.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import SourceError
from components.sources.parquet import parquet_rows
from components.sources.source import DEFAULTS, LARGEST, Note, RawAsk, RawScene, ReadOptions, is_number, shown

COLUMNS = ("image_sha256", "count", "label")
IMAGES = "images"
_SHA256 = re.compile(r"[0-9a-f]{64}")
MOST_COUNT = 1_000_000


@dataclass(frozen=True, slots=True)
class CountRow:
    """One row of the file, checked; points are None where the dataset has the number only."""

    where: str
    sha256: str
    url: str | None
    ask: RawAsk


def read(root: Path, annotations: Path, options: ReadOptions = DEFAULTS) -> Iterator[RawScene | Note]:
    """The images in the order of their first row. Raises SourceError that names file and row."""
    folder = options.images or IMAGES
    files = {path.stem: path.name for path in sorted((root / folder).glob("*")) if not path.name.startswith(".")}
    asks: dict[str, list[RawAsk]] = {}
    for row in rows(annotations):
        if row.sha256 in files:
            asks.setdefault(row.sha256, []).append(row.ask)
        else:
            yield Note("skipped", row.where, f"its image {row.sha256} is not in {folder}: not fetched, or gone")
    for digest, found in asks.items():
        path = f"{folder}/{files[digest]}"
        scene_id = f"{annotations.stem}/{digest}"  # the same image may stand in another split too
        yield RawScene(scene_id, path, (), found[0].annotation, asks=tuple(found), stated_sha256=digest)


def rows(annotations: Path) -> Iterator[CountRow]:
    """Every row of a Parquet file, in batches. Raises SourceError that names file and row."""
    for where, row in parquet_rows(annotations, COLUMNS, ("points", "image_url")):
        yield _row(row, where)


def _row(row: dict[str, Any], where: str) -> CountRow:
    digest, count, label, url = row["image_sha256"], row["count"], row["label"], row.get("image_url")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise SourceError(f"{where}: image_sha256 is {shown(digest, 70)}, want 64 hexadecimal digits")
    if type(count) is not int or not 0 <= count <= MOST_COUNT:
        raise SourceError(f"{where}: count is {shown(count)}, want a whole number of things")
    if not isinstance(label, str) or not label.strip():
        raise SourceError(f"{where}: label is {shown(label)}, want the word for what is counted")
    if url is not None and not isinstance(url, str):
        raise SourceError(f"{where}: image_url is {shown(url)}, want text")
    points = _points(row.get("points"), where)
    if points is not None and len(points) != count:
        if points:
            raise SourceError(f"{where}: {len(points)} points for a count of {count}; is the row damaged?")
        points = None  # the evaluation splits: an empty list where there are no points
    return CountRow(where, digest, url, RawAsk(where, label.strip(), count=count, points=points))


def _points(value: Any, where: str) -> tuple[tuple[float, float], ...] | None:
    """x y pairs of a list of structs or of a struct of lists, as different writers have it."""
    if value is None or value == {"x": None, "y": None}:
        return None
    pairs = _together(value) if isinstance(value, dict) else value
    if not isinstance(pairs, list) or not all(_is_point(one) for one in pairs):
        raise SourceError(f"{where}: points are {shown(value)}, want pairs of finite numbers x and y below 1e9")
    return tuple((float(one["x"]), float(one["y"])) for one in pairs)


def _together(value: dict[str, Any]) -> list[dict[str, Any]] | None:
    x, y = value.get("x"), value.get("y")
    if not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y):
        return None
    return [{"x": one, "y": other} for one, other in zip(x, y, strict=True)]


def _is_point(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(is_number(value.get(axis)) and abs(value[axis]) < LARGEST for axis in ("x", "y"))
