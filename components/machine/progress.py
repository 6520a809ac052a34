"""How far long work has come, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """The items, with a progress bar on a terminal; a log gets no bar."""
    from tqdm import tqdm

    return iter(tqdm(items, desc=what, total=total, disable=not sys.stderr.isatty()))
