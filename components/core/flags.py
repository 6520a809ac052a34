"""A flag as annotations have it: a number, true or false, or one of them as text."""

from __future__ import annotations

from typing import Any

_TEXTS = {"0": False, "1": True, "false": False, "true": True}
WANTED = "0, 1, true or false"


def flag_of(value: Any) -> bool | None:
    """What the flag says, None where it says nothing clear; what is not there is not set.

    >>> flag_of("0"), flag_of(1), flag_of("maybe")
    (False, True, None)
    """
    if value is None:
        return False
    if isinstance(value, str):
        return _TEXTS.get(value.strip().casefold())
    return bool(value) if isinstance(value, bool | int | float) and value in (0, 1) else None
