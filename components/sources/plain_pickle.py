"""A pickle from outside, read so that it can hold data and nothing else.

A pickle is a program: it may name any function and have it called, and a few bytes of it may ask for all memory. Here
only plain containers may be named, and memory is bounded by the file's size.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.errors import SourceError

ALLOWED: dict[tuple[str, str], Any] = {
    (module, one.__name__): one
    for module in ("builtins", "__builtin__")
    for one in (list, dict, tuple, set, frozenset, bytearray)
} | {("collections", "OrderedDict"): OrderedDict}
"""What a pickle may name, under Python 2's and Python 3's names of the module."""
MEMORY_PER_BYTE = 64
"""An empty dict is one byte of a pickle and 64 of memory."""
SPARE_BYTES = 1 << 29


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
    try:
        with path.open("rb") as file, _bounded_memory(SPARE_BYTES + MEMORY_PER_BYTE * path.stat().st_size):
            return _PlainUnpickler(file, encoding="latin1").load()
    except _ForeignError as foreign:
        raise SourceError(
            f"{path}: the pickle asks for {foreign}, which is no plain container; it is refused, nothing of it was run"
        ) from None
    except MemoryError:
        raise SourceError(
            f"{path}: cannot be read as a pickle (it asks for more memory than {path.stat().st_size} bytes can fill); "
            "is the file damaged, or made to harm?"
        ) from None
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, TypeError, AttributeError,
            RecursionError, OverflowError, OSError) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:100]
        raise SourceError(f"{path}: cannot be read as a pickle ({reason}); is the file cut or damaged?") from None


@contextmanager
def _bounded_memory(more_bytes: int) -> Iterator[None]:
    """Within it this process may take so many bytes more; beyond them is a MemoryError. Linux only: else unbounded."""
    statistics = Path("/proc/self/statm")
    if not statistics.exists():
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(statistics.read_text().split()[0]) * resource.getpagesize()
    limits = [one for one in (soft, hard) if one != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([used + more_bytes, *limits]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
