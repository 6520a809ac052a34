"""A pickle from outside, read so that it can hold data and nothing else.

A pickle is a program: it may name any function and have it called. Here only plain containers may be named.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

from components.errors import SourceError

ALLOWED: dict[tuple[str, str], Any] = {
    (module, one.__name__): one
    for module in ("builtins", "__builtin__")
    for one in (list, dict, tuple, set, frozenset, bytearray)
} | {("collections", "OrderedDict"): OrderedDict}
"""What a pickle may name, under Python 2's and Python 3's names of the module."""


class _ForeignError(pickle.UnpicklingError):
    pass


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in ALLOWED:
            raise _ForeignError(f"{module_name}.{global_name}")
        return ALLOWED[module_name, global_name]

    def persistent_load(self, pid: Any) -> Any:
        raise _ForeignError(f"a persistent object {str(pid)[:40]}")


def read_plain_pickle(path: Path) -> Any:
    """The content. Raises SourceError that names what a pickle asks for beyond plain containers, and calls nothing."""
    try:
        with path.open("rb") as file:
            return _PlainUnpickler(file, encoding="latin1").load()
    except _ForeignError as foreign:
        raise SourceError(
            f"{path}: the pickle asks for {foreign}, which is no plain container; it is refused, nothing of it was run"
        ) from None
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, TypeError, AttributeError,
            RecursionError, MemoryError, OverflowError) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:100]
        raise SourceError(f"{path}: cannot be read as a pickle ({reason}); is the file cut or damaged?") from None
