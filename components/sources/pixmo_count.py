"""PixMo-Count: data/<split>-*.parquet, and images/<sha256>.<type>, which `lookout fetch-images` brings.

A row is image_url, image_sha256, count, label, points (x y in pixels; none in the val and test splits). One image may
stand in several rows, each with a question of its own. A row whose image has not been fetched is noted: URLs die.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import SourceError
from components.sources.source import DEFAULTS, Note, RawAsk, RawScene, ReadOptions

COLUMNS = ("image_sha256", "count", "label", "points")
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
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(annotations)
        missing = [name for name in COLUMNS if name not in file.schema_arrow.names and name != "points"]
        if missing:
            raise SourceError(f"{annotations}: has no column {missing[0]}; is this PixMo-Count's Parquet?")
        wanted = [name for name in (*COLUMNS, "image_url") if name in file.schema_arrow.names]
        number = 0
        for batch in file.iter_batches(batch_size=1024, columns=wanted):
            for row in batch.to_pylist():
                yield _row(row, f"{annotations}: row {number}")
                number += 1
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{annotations}: cannot be read as Parquet ({' '.join(str(error).split())[:120]})") from None


def _row(row: dict[str, Any], where: str) -> CountRow:
    digest, count, label = row["image_sha256"], row["count"], row["label"]
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise SourceError(f"{where}: image_sha256 is {str(digest)[:70]!r}, want 64 hexadecimal digits")
    if not isinstance(count, int) or not 0 <= count <= MOST_COUNT:
        raise SourceError(f"{where}: count is {count!r}, want a number of things")
    if not isinstance(label, str) or not label.strip():
        raise SourceError(f"{where}: label is {label!r}, want the word for what is counted")
    points = _points(row.get("points"), where)
    if points is not None and len(points) != count:
        if points:
            raise SourceError(f"{where}: {len(points)} points for a count of {count}; is the row damaged?")
        points = None  # the evaluation splits: an empty list where there are no points
    return CountRow(where, digest, row.get("image_url"), RawAsk(where, label.strip(), count=count, points=points))


def _points(value: Any, where: str) -> tuple[tuple[float, float], ...] | None:
    """x y pairs of a list of structs or of a struct of lists, as different writers have it."""
    if value is None or value == {"x": None, "y": None}:
        return None
    entries: list[Any] = value if isinstance(value, list) else _together(value, where)
    pairs = [(one["x"], one["y"]) for one in entries]
    if not all(isinstance(part, float | int) and math.isfinite(part) for pair in pairs for part in pair):
        raise _bad(value, where)
    return tuple((float(x), float(y)) for x, y in pairs)


def _together(value: dict[str, Any], where: str) -> list[dict[str, Any]]:
    x, y = value.get("x"), value.get("y")
    if not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y):
        raise _bad(value, where)
    return [{"x": one, "y": other} for one, other in zip(x, y, strict=True)]


def _bad(value: Any, where: str) -> SourceError:
    return SourceError(f"{where}: points are {str(value)[:60]}, want pairs of finite numbers x and y")
