"""Parquet tables between stages. Every file names its schema and version in its metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import DataError
from components.store.atomic import atomic_file

_KEY = b"lookout.schema"


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table's name, version and columns. A change of columns raises the version."""

    name: str
    version: int
    columns: pa.Schema

    @property
    def tag(self) -> str:
        return f"{self.name}/{self.version}"


class TableWriter:
    """Appends batches of rows; memory does not grow with their number."""

    def __init__(self, schema: TableSchema, writer: pq.ParquetWriter) -> None:
        self._schema, self._writer = schema, writer
        self.rows = 0

    def write(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._writer.write_table(pa.Table.from_pylist(rows, schema=self._schema.columns))
            self.rows += len(rows)


@contextmanager
def open_table_writer(target: Path, schema: TableSchema) -> Iterator[TableWriter]:
    """Streams rows into `target`, which appears whole or not at all."""
    columns = schema.columns.with_metadata({_KEY: schema.tag.encode()})
    with (
        atomic_file(target) as partial,
        # without checksums pyarrow reads most damaged pages as other values
        pq.ParquetWriter(partial, columns, compression="zstd", write_page_checksum=True) as writer,
    ):
        yield TableWriter(schema, writer)


def write_table(target: Path, schema: TableSchema, rows: Iterable[dict[str, Any]]) -> None:
    """Writes all `rows` at once."""
    with open_table_writer(target, schema) as writer:
        writer.write(list(rows))


def check_version(path: Path, schema: TableSchema) -> pq.ParquetFile:
    """Opens a table and holds its schema tag against `schema`. Raises DataError with one sentence."""
    if not path.exists():
        raise DataError(f"{path} is not there: the stage that writes it has not run (dvc repro runs it)")
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except PermissionError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise DataError(unreadable(path, error)) from error
    found = (file.schema_arrow.metadata or {}).get(_KEY, b"none").decode()
    if found != schema.tag:
        raise DataError(
            f"{path} has schema {found}, this version of Lookout reads {schema.tag}; run dvc repro to write it again"
        )
    return file


def read_table(path: Path, schema: TableSchema) -> pa.Table:
    """The whole table. Raises DataError where it is missing, damaged or of another version."""
    file = check_version(path, schema)
    with _damage_named(path):
        return file.read()


def read_rows(path: Path, schema: TableSchema, batch_rows: int = 1024) -> Iterator[dict[str, Any]]:
    """The rows one by one, as dicts, in batches that keep memory flat."""
    file = check_version(path, schema)
    with _damage_named(path):
        for batch in file.iter_batches(batch_size=batch_rows):
            yield from batch.to_pylist()


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """What pyarrow says of bytes that were changed in the middle of a file, as one sentence."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(unreadable(path, error)) from error


def unreadable(path: Path, error: BaseException) -> str:
    """The sentence for a Parquet file that is cut or damaged."""
    why = " ".join(str(error).split())[:120]
    return f"{path} is not a readable Parquet file ({why}); it is cut or damaged: remove it and run dvc repro"
