"""Numbers as tables show them: a dash stands for one that is not defined."""

from __future__ import annotations

from collections.abc import Sequence

MISSING = "–"


def number_text(value: float | None, digits: int = 3) -> str:
    """The number with so many decimals.

    >>> number_text(0.12345), number_text(None)
    ('0.123', '–')
    """
    return MISSING if value is None else f"{value:.{digits}f}"


def interval_text(ends: Sequence[float] | None, digits: int = 3) -> str:
    """The ends of an interval.

    >>> interval_text((0.1, 0.25)), interval_text(None)
    ('0.100 to 0.250', '–')
    """
    return " to ".join(number_text(end, digits) for end in ends) if ends else MISSING
