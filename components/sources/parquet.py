"""A published dataset's Parquet file, row by row; what is wrong with it is one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.errors import SourceError


def parquet_rows(
    path: Path, required: tuple[str, ...], optional: tuple[str, ...] = (), only: tuple[str, str] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and row number, the wanted columns as plain values), in batches that keep memory flat.

    `only` is a column and the value that its rows must have: the others are not even turned into values.
    Raises SourceError where the file cannot be read or lacks a required column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        missing = [name for name in required if name not in names]
        if missing:
            raise SourceError(f"{path}: has no column {missing[0]}; it has {', '.join(names)[:200]}")
        wanted = [name for name in (*required, *optional) if name in names]
        start = 0
        for batch in file.iter_batches(batch_size=1024, columns=wanted):
            places = _places(batch, only)
            for place, row in zip(places, batch.take(pa.array(places, pa.int64())).to_pylist(), strict=True):
                yield f"{path}: row {start + place}", row
            start += batch.num_rows
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # ValueError: text that is not UTF-8
        raise SourceError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())[:120]})") from None


def _places(batch: Any, only: tuple[str, str] | None) -> list[int]:
    """The places of the batch's rows that are wanted."""
    if only is None:
        return list(range(batch.num_rows))
    name, value = only
    return [place for place, found in enumerate(batch.column(name).to_pylist()) if found == value]
