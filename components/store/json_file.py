"""JSON of a file or a line: its value, or one sentence that says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeGuard

from components.errors import DataError, LookoutError


def read_json(path: Path) -> Any:
    """The value of a file that a stage has written. Raises DataError where it is missing or damaged."""
    if not path.exists():
        raise DataError(f"{path} is not there: the stage that writes it has not run (dvc repro runs it)")
    return parse_json(path.read_bytes(), str(path), "run dvc repro to write it again")


def parse_json(
    content: str | bytes, where: str, todo: str, wanted: str = "JSON", fails: type[LookoutError] = DataError
) -> Any:
    """The value of a text, or of bytes in UTF-8. Raises `fails`: `where` is not what is `wanted`, and what to do."""
    try:
        return json.loads(content.decode() if isinstance(content, bytes) else content)
    except (ValueError, RecursionError) as error:  # a ValueError: no UTF-8 too, and a number of 5,000 digits
        reason = " ".join(str(error).split())[:120]
        raise fails(f"{where} is not {wanted} ({reason}); {todo}") from None


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether JSON's value is an object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether JSON's value is a list."""
    return isinstance(value, list)
