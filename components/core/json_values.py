"""JSON out of a completion's block, in linear time: numbers that a box can hold, lists that do not nest too deep."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import numpy as np

from components.core.envelope import Bad, Span

_ESCAPE = re.compile(r"\\.", re.DOTALL)
_WHOLE = re.compile(r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
"""An escaped backslash, or both halves of one character."""
_HALF = r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_CONTROL = r"\\[bf]|\\u00(?:0[0-8bcefBCEF]|1[0-9a-fA-F]|7[fF]|[89][0-9a-fA-F])"
_UNWRITABLE = re.compile(f"{_HALF}|{_CONTROL}|[\x7f-\x9f\ud800-\udfff]")
"""Half of a character, which no file can hold, and control characters, which no label has and a terminal obeys.

As escapes, or as they are: below U+0020 JSON itself refuses the latter.
"""
_LARGEST = float(np.finfo(np.float32).max)
# deeper lists than the grammar's are refused before json.loads sees them: its recursion is bounded
MAX_DEPTH = 32


def json_value(text: str, span: Span, largest: float = _LARGEST) -> Any:
    """What stands in a block, every number a float below `largest` in size. Raises Bad."""
    body = text[slice(*span)]
    if body.count("[") + body.count("{") > MAX_DEPTH:  # fewer cannot nest too deep
        objects(body, span[0])
    return loads(body, span[0], largest)


def json_list(text: str, span: Span) -> list[Any]:
    """The list that stands in a block whose depth `objects` has bounded. Raises Bad."""
    value = loads(text[slice(*span)], span[0])
    if not isinstance(value, list):
        raise Bad("bad_shape", span[0])
    return cast("list[Any]", value)


def loads(body: str, offset: int, largest: float = _LARGEST) -> Any:
    """JSON whose depth `objects` has bounded. Raises Bad."""

    def decimal(digits: str) -> float:
        # integers too: float() reads a million digits in linear time, int() refuses them
        value = float(digits)
        if not -largest < value < largest:
            raise _BadNumberError
        return value

    if "\\" in body or not body.isascii() or "\x7f" in body:
        found = _UNWRITABLE.search(_WHOLE.sub(lambda whole: " " * len(whole.group()), body))
        if found:
            raise Bad("bad_json", offset + found.start())
    try:
        return json.loads(body, parse_int=decimal, parse_float=decimal, parse_constant=_constant)
    except _BadNumberError:
        raise Bad("bad_number", offset) from None
    except json.JSONDecodeError as error:
        raise Bad("bad_json", offset + error.pos) from None


def objects(body: str, offset: int) -> tuple[Span, ...]:
    """Character ranges of the complete objects directly inside the outer list; `body` begins at `offset`.

    Brackets inside strings do not count; a string that never closes takes the rest. Raises Bad where
    lists nest deeper than json.loads may be let in.
    """
    plain = _ESCAPE.sub("  ", body) if "\\" in body else body  # an escaped quote closes no string
    letters = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    outside = np.cumsum(letters == ord('"')) % 2 == 0
    opening = ((letters == ord("[")) | (letters == ord("{"))) & outside
    closing = ((letters == ord("]")) | (letters == ord("}"))) & outside
    depth = np.cumsum(opening.astype(np.int64) - closing)  # behind each letter
    if depth.max(initial=0) > MAX_DEPTH:
        raise Bad("bad_shape", offset + int((depth > MAX_DEPTH).argmax()))
    begins = np.flatnonzero(opening & (depth == 2))
    ends = np.flatnonzero(closing & (depth == 1))
    begins = begins[: len(ends)]  # the depth passes 2 upwards and downwards in turn: the k-th end closes the k-th begin
    kept = letters[begins] == ord("{")
    return tuple(zip((begins[kept] + offset).tolist(), (ends[kept] + offset + 1).tolist(), strict=True))


class _BadNumberError(ValueError):
    """NaN, Infinity, or a number too large for a box."""


def _constant(name: str) -> float:
    raise _BadNumberError(name)


def four_numbers(value: Any, offset: int) -> list[float]:
    """x1 y1 x2 y2. Booleans are none: JSON's true is an int to Python. Raises Bad."""
    if not isinstance(value, list) or len(cast("list[Any]", value)) != 4:
        raise Bad("bad_shape", offset)
    x1, y1, x2, y2 = numbers = cast("list[Any]", value)
    if not (type(x1) is type(y1) is type(x2) is type(y2) is float):
        raise Bad("bad_number", offset)
    return numbers


def two_numbers(value: Any, offset: int) -> list[float]:
    """x y. Raises Bad."""
    if not isinstance(value, list) or len(cast("list[Any]", value)) != 2:
        raise Bad("bad_shape", offset)
    x, y = numbers = cast("list[Any]", value)
    if not type(x) is type(y) is float:
        raise Bad("bad_number", offset)
    return numbers
