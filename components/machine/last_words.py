"""Why a process that we started has failed, by what it said."""

from __future__ import annotations

import re
from collections.abc import Sequence

FRAME = re.compile(r'^\s+File "(?P<file>[^"]+)", line (?P<line>\d+)')
OF_DVC = "ERROR: failed to reproduce"


def reason(lines: Sequence[str]) -> str:
    """Its own `error: ...` sentence; else a traceback's last line and where that was; else the last line that it said.

    DVC's own `ERROR: failed to reproduce` comes behind all of them and gives no reason: it is taken where nothing else
    was said.
    """
    own = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if own:
        return own[-1]
    spoken = [line.strip() for line in lines if line.strip()]
    return (
        _of_traceback(lines)
        or next((line for line in reversed(spoken) if not line.startswith(OF_DVC)), "")
        or (spoken[-1] if spoken else "it said nothing")
    )


def _of_traceback(lines: Sequence[str]) -> str:
    """`ValueError: what (file.py:12)` of the last traceback, empty where there is none."""
    starts = [place for place, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if not starts:
        return ""
    where = ""
    for line in lines[starts[-1] + 1 :]:
        frame = FRAME.match(line)
        if frame:
            where = f" ({frame['file'].rpartition('/')[2]}:{frame['line']})"
        elif line[:1].strip():  # the first line that is not indented is the exception's own
            return f"{line.strip()}{where}"
    return ""
