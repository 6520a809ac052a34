"""JSON from outside whose nesting is bounded before a parser sees it: parsers recurse, or keep a path a level."""

from __future__ import annotations

import re
from typing import Any, BinaryIO

import numpy as np

from components.errors import SourceError
from components.store.json_file import parse_json

MOST_LEVELS = 64
"""Published annotations have five or six."""
_KINDS = np.zeros(256, dtype=np.int8)
_KINDS[list(b"[{")], _KINDS[list(b"]}")], _KINDS[ord('"')] = 1, -1, 2
_ESCAPE = re.compile(rb"\\.", re.DOTALL)


class Nesting:
    """How deep JSON is nested, part after part of its bytes."""

    def __init__(self) -> None:
        self._levels, self._in_text, self._half_escape = 0, False, False

    def add(self, part: bytes, name: str) -> None:
        """Raises SourceError where more than MOST_LEVELS lists and objects are open."""
        if self._half_escape:
            part = b"\\" + part
        if b"\\" in part:
            part = _ESCAPE.sub(b"  ", part)  # an escaped quote ends no text
        self._half_escape = part.endswith(b"\\")
        kinds = _KINDS[np.frombuffer(part, dtype=np.uint8)]
        kinds = kinds[kinds != 0]
        quotes = kinds == 2
        in_text = (np.cumsum(quotes) + self._in_text) % 2 == 1
        levels = self._levels + np.cumsum(np.where(in_text | quotes, 0, kinds), dtype=np.int64)
        if levels.max(initial=0) > MOST_LEVELS:
            raise SourceError(
                f"{name}: lists and objects are nested more than {MOST_LEVELS} levels deep, as no annotations are; "
                "is the file damaged, or made to harm?"
            )
        if len(kinds):
            self._levels, self._in_text = int(levels[-1]), bool(in_text[-1])


class ShallowFile:
    """A file of JSON to be streamed; it raises SourceError where the JSON gets too deep."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name, self._nesting = file, name, Nesting()

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(size)
        self._nesting.add(part, self._name)
        return part


def shallow_json(content: str | bytes, where: str) -> Any:
    """The value. Raises SourceError where it is no JSON in UTF-8, or nested too deep."""
    plain = content.encode(errors="replace") if isinstance(content, str) else content
    if plain.count(b"[") + plain.count(b"{") > MOST_LEVELS:  # fewer cannot nest too deep
        Nesting().add(plain, where)
    return parse_json(content, where, "is the file cut or damaged?", fails=SourceError)
