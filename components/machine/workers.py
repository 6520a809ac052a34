"""Whether this process is one of several that do one stage's work."""

from __future__ import annotations

import os


def is_worker() -> bool:
    """Whether torch's launcher started this process, as one of several."""
    return "LOCAL_RANK" in os.environ
