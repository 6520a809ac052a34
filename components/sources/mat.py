"""CityPersons' .mat files, read in a process of their own: scipy's reader can crash on a damaged one."""

from __future__ import annotations

import multiprocessing
import resource
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat  # pyright: ignore[reportMissingTypeStubs]

from components.children import process_pool
from components.errors import SourceError

Cell = tuple[str, str, NDArray[np.float64]]
"""City, image name, rows (N, 10)."""
_MOST_BYTES = 8 * 2**30


def read_cells(path: Path, key: str) -> list[Cell | str]:
    """The cells of `key`, in order; a text says what is wrong with a cell. Raises SourceError for the whole file."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__])
    with process_pool(1, mp_context=server, initializer=_limit_memory) as pool:
        try:
            cells = pool.submit(_read, path, key).result()
        except BrokenProcessPool:
            raise SourceError(f"{path}: not a readable MATLAB file (its reader crashed); is it damaged?") from None
    if isinstance(cells, str):
        raise SourceError(f"{path}: {cells}")
    return cells


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))  # a damaged length may ask for any amount


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
        return city, name, np.zeros((0, 10))
    if table.ndim != 2 or table.shape[1] != 10:
        return f"bbs has shape {table.shape}, want (N, 10): class x y w h instance xv yv wv hv"
    return city, name, table
