"""A pickle from outside, read so that it can hold data and nothing else.

A pickle is a program: it may name any function and have it called, and a few bytes of it may ask for all memory. Here
only plain containers may be named, and it is read in a process of its own whose memory and time are bounded by the
file's size: a key that holds itself twice, thirty times over, takes a minute of digests and 92 bytes.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

from components.errors import SourceError
from components.sources.apart import run_apart

ALLOWED: dict[tuple[str, str], Any] = {
    (module, one.__name__): one
    for module in ("builtins", "__builtin__")
    for one in (list, dict, tuple, set, frozenset, bytearray)
} | {("collections", "OrderedDict"): OrderedDict}
"""What a pickle may name, under Python 2's and Python 3's names of the module."""
MEMORY_PER_BYTE = 64
"""An empty dict is one byte of a pickle and 64 of memory."""
SPARE_BYTES = 1 << 30
"""More than the reading process has before it begins."""
SPARE_S = 10
MOST_LEVELS = 100
WRONG = b"\1"
CONTAINERS = (list, dict, tuple, set, frozenset)


class _ForeignError(pickle.UnpicklingError):
    pass


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in ALLOWED:
            raise _ForeignError(f"{module_name}.{global_name}"[:100])
        return ALLOWED[module_name, global_name]

    def persistent_load(self, pid: Any) -> Any:
        raise _ForeignError(f"a persistent object {pid!r:.40}" if isinstance(pid, str) else "a persistent object")


def read_plain_pickle(path: Path) -> Any:
    """The content. Raises SourceError that names what a pickle asks for beyond plain containers, and calls nothing."""
    size = path.stat().st_size
    most_bytes = SPARE_BYTES + MEMORY_PER_BYTE * size
    answer = run_apart(_checked, (path,), SPARE_S + (size >> 20), most_bytes, f"{path}: cannot be read as a pickle")
    if answer[:1] == WRONG:
        raise SourceError(f"{path}: {answer[1:].decode()}")
    return _PlainUnpickler(io.BytesIO(answer[1:])).load()


def _checked(path: Path) -> bytes:
    """The content pickled anew behind a zero byte, or WRONG and what is wrong with it."""
    try:
        with path.open("rb") as file:
            content = _PlainUnpickler(file, encoding="latin1").load()
        trouble = _trouble(content)
        return b"\0" + pickle.dumps(content) if trouble is None else WRONG + trouble.encode()
    except _ForeignError as foreign:
        reason = f"the pickle asks for {foreign}, which is no plain container; it is refused, nothing of it was run"
    except MemoryError:
        reason = (
            f"cannot be read as a pickle (it asks for more memory than {path.stat().st_size} bytes can fill); "
            "is the file damaged, or made to harm?"
        )
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, TypeError, AttributeError,
            RecursionError, OverflowError, OSError) as error:  # fmt: skip
        reason = f"cannot be read as a pickle ({' '.join(str(error).split())[:100]}); is the file cut or damaged?"
    return WRONG + reason.encode()


def _trouble(content: Any) -> str | None:
    """Why a value is none of annotations: too deep, or with keys of its own making, whose digests may take for ever."""
    waiting, seen = [(content, 1)], set[int]()
    while waiting:
        value, level = waiting.pop()
        if not isinstance(value, CONTAINERS) or id(value) in seen:
            continue
        seen.add(id(value))
        if level > MOST_LEVELS:
            return f"cannot be read as a pickle (its values are nested more than {MOST_LEVELS} levels deep)"
        if isinstance(value, dict | set | frozenset) and any(isinstance(key, CONTAINERS) for key in value):
            return "cannot be read as a pickle (a key of a mapping or a value of a set is a container itself)"
        parts = value.values() if isinstance(value, dict) else value
        waiting += [(part, level + 1) for part in parts if isinstance(part, CONTAINERS)]
    return None
