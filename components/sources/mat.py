"""CityPersons' .mat files, read in a process of their own: scipy's reader can crash on a damaged one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat  # pyright: ignore[reportMissingTypeStubs]

from components.errors import SourceError
from components.sources.apart import run_apart

Cell = tuple[str, str, NDArray[np.float64]]
"""City, image name, rows (N, 10)."""
_MOST_BYTES = 8 * 2**30  # a damaged length may ask for any amount
_SPARE_S = 60
COLUMNS = 10


def read_cells(path: Path, key: str) -> list[Cell | str]:
    """The cells of `key`, in order; a text says what is wrong with a cell. Raises SourceError for the whole file."""
    most_s = _SPARE_S + (path.stat().st_size >> 18)
    answer = run_apart(_as_json, (path, key), most_s, _MOST_BYTES, f"{path}: not a readable MATLAB file")
    cells = json.loads(answer)  # not a pickle: what reads a file that is made to harm may itself be turned
    if isinstance(cells, str):
        raise SourceError(f"{path}: {cells}")
    return [cell if isinstance(cell, str) else (cell[0], cell[1], _table(cell[2])) for cell in cells]


def _table(rows: list[list[float]]) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64).reshape(len(rows), COLUMNS)


def _as_json(path: Path, key: str) -> bytes:
    cells = _read(path, key)
    if isinstance(cells, str):
        return json.dumps(cells).encode()
    return json.dumps([one if isinstance(one, str) else (one[0], one[1], one[2].tolist()) for one in cells]).encode()


def _read(path: Path, key: str) -> list[Cell | str] | str:
    try:
        content = loadmat(path, variable_names=[key])
    except Exception as error:  # noqa: BLE001  (it fails wherever it happens to be; the text goes to the user)
        return f"not a readable MATLAB file ({type(error).__name__}: {' '.join(str(error).split())[:120]}); is it cut?"
    cells = content.get(key)
    if not isinstance(cells, np.ndarray) or cells.dtype != object:
        return f"has no cells {key}; is this CityPersons' anno_<split>.mat?"
    return [_cell(cells.flat[index]) for index in range(cells.size)]


def _cell(cell: Any) -> Cell | str:
    try:
        city, name, rows = (cell[field][0, 0] for field in ("cityname", "im_name", "bbs"))
        city, name = str(city[0]), str(name[0])
        table = cast("NDArray[np.float64]", np.asarray(rows).astype(np.float64))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        return f"want a cell with cityname, im_name and bbs ({' '.join(str(error).split())[:80]})"
    if table.size == 0:
        return city, name, np.zeros((0, COLUMNS))
    if table.ndim != 2 or table.shape[1] != COLUMNS:
        return f"bbs has shape {table.shape}, want (N, 10): class x y w h instance xv yv wv hv"
    return city, name, table
