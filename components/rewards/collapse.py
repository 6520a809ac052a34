"""What the collapse of a policy looks like in the mean of a reward. Each reward's entry names its own sign."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

Means: TypeAlias = Mapping[str, float]
"""Name of a reward -> its mean over some steps."""
Sign: TypeAlias = Callable[[str, Means, Means, Sequence[str]], str | None]
"""(own name, means of the first steps, of the last steps, names of the accuracy rewards) -> a sentence, or None."""
NEAR_ZERO = 0.05
ONCE_EARNED = 0.1
"""An accuracy reward that never earned so much has not died: it has not begun. The two values are ours."""


def paid_for_form(title: str, high: float) -> Sign:
    """The sign of a reward for how an answer is written or where it looks: it pays, and an accuracy reward does not.

    >>> paid_for_form("format", 0.9)("reasoning", {}, {"reasoning": 1.0, "ocr": 0.0}, ["ocr"])
    'the format reward is high while the accuracy reward is near zero'
    """

    def sign(name: str, first: Means, last: Means, accurate: Sequence[str]) -> str | None:
        del first
        dying = [one for one in accurate if last[one] < NEAR_ZERO]
        if last[name] <= high or not dying:
            return None
        which = "" if len(accurate) == 1 else f" {' and '.join(dying)}"
        return f"the {title} reward is high while the accuracy reward{which} is near zero"

    return sign


def dead(name: str, first: Means, last: Means, accurate: Sequence[str]) -> str | None:
    """The sign of an accuracy reward: it earned once, and earns nothing any more.

    >>> dead("ocr", {"ocr": 0.4}, {"ocr": 0.01}, ["ocr"])
    'the accuracy reward ocr has fallen from 0.40 to near zero'
    """
    del accurate
    begun = first.get(name, 0.0)
    fallen = begun >= ONCE_EARNED and last[name] < NEAR_ZERO
    return f"the accuracy reward {name} has fallen from {begun:.2f} to near zero" if fallen else None
