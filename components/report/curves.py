"""CSV files of curves as lines of a chart."""

from __future__ import annotations

import csv
from pathlib import Path

from components.errors import DataError
from components.report.plots import Line


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows. Raises DataError where the file is not there."""
    if not path.exists():
        raise DataError(f"{path} is not there: the stage that writes it has not run (dvc repro runs it)")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def csv_line(name: str, path: Path, x: str, y: str) -> Line:
    """`line_of` a file."""
    return line_of(name, read_csv(path), x, y)


def line_of(name: str, rows: list[dict[str, str]], x: str, y: str) -> Line:
    """Column y over column x; a blank cell was not logged and is left out."""
    points = [(float(row[x]), float(row[y])) for row in rows if row.get(y)]
    return Line(name.removeprefix("reward_"), points)
