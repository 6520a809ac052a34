"""Parquet tables between stages. Every file names its schema and version in its metadata."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

from components.errors import DataError
from components.store.atomic import atomic_file
from components.store.schemas.columns import arrow_columns

_pa: Any = import_module("pyarrow")  # it comes without types
_parquet: Any = import_module("pyarrow.parquet")
_KEY = b"lookout.schema"
BATCH_ROWS = 1024
RowT = TypeVar("RowT", bound=Mapping[str, object])


@dataclass(frozen=True, slots=True)
class TableSchema(Generic[RowT]):
    """A table's name, version and row, a TypedDict. A change of columns raises the version."""

    name: str
    version: int
    row: type[RowT]

    @property
    def tag(self) -> str:
        return f"{self.name}/{self.version}"


class TableWriter(Generic[RowT]):
    """Appends batches of rows; memory does not grow with their number."""

    def __init__(self, columns: Any, writer: Any) -> None:
        self._columns, self._writer = columns, writer
        self.rows = 0

    def write(self, rows: Sequence[RowT]) -> None:
        if rows:
            self._writer.write_table(_pa.Table.from_pylist(rows, schema=self._columns))
            self.rows += len(rows)


@contextmanager
def open_table_writer(target: Path, schema: TableSchema[RowT]) -> Generator[TableWriter[RowT]]:
    """Streams rows into `target`, which appears whole or not at all."""
    columns = arrow_columns(schema.row)
    tagged = columns.with_metadata({_KEY: schema.tag.encode()})
    with (
        atomic_file(target) as partial,
        # without checksums pyarrow reads most damaged pages as other values
        _parquet.ParquetWriter(partial, tagged, compression="zstd", write_page_checksum=True) as writer,
    ):
        yield TableWriter[RowT](columns, writer)


def write_table(target: Path, schema: TableSchema[RowT], rows: Iterable[RowT]) -> None:
    """Writes all `rows` at once."""
    with open_table_writer(target, schema) as writer:
        writer.write(list(rows))


def check_version(path: Path, schema: TableSchema[Any]) -> Any:
    """A pyarrow ParquetFile whose schema tag is that of `schema`. Raises DataError with one sentence."""
    if not path.exists():
        raise DataError(f"{path} is not there: the stage that writes it has not run (dvc repro runs it)")
    try:
        file = _parquet.ParquetFile(path, page_checksum_verification=True)
    except PermissionError:
        raise
    except (_pa.ArrowException, OSError) as error:
        raise DataError(unreadable(path, error)) from error
    metadata: dict[bytes, bytes] = file.schema_arrow.metadata or {}
    found = metadata.get(_KEY, b"none").decode()
    if found != schema.tag:
        raise DataError(
            f"{path} has schema {found}, this version of Lookout reads {schema.tag}; run dvc repro to write it again"
        )
    return file


def read_table(path: Path, schema: TableSchema[Any]) -> Any:
    """The whole pyarrow Table. Raises DataError where it is missing, damaged or of another version."""
    file = check_version(path, schema)
    with _damage_named(path):
        return file.read()


def read_rows(path: Path, schema: TableSchema[RowT], columns: Sequence[str] | None = None) -> Iterator[RowT]:
    """The rows one by one, in batches that keep memory flat; of `columns`, where they are named, those keys alone."""
    file = check_version(path, schema)
    with _damage_named(path):
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            yield from batch.to_pylist()


@contextmanager
def _damage_named(path: Path) -> Generator[None]:
    """What pyarrow says of bytes that were changed in the middle of a file, as one sentence."""
    try:
        yield
    except (_pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(unreadable(path, error)) from error


def unreadable(path: Path, error: BaseException) -> str:
    """The sentence for a Parquet file that is cut or damaged."""
    why = " ".join(str(error).split())[:120]
    return f"{path} is not a readable Parquet file ({why}); it is cut or damaged: remove it and run dvc repro"
