"""The format reward: every block is there and can be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.core.completion import ParseFailure
from components.core.grammars import AnyParsed
from components.rewards.reward import Reward


def make(settings: object) -> Reward:
    """1.0 for an answer, 0.0 for a ParseFailure, whatever the task. It has no settings.

    Source: DIP-R1, arXiv:2505.23179 ("a standard reasoning reward"); the grammar is ours.
    """
    del settings
    return _readable


def _readable(group: Sequence[AnyParsed], truth: object) -> NDArray[np.float32]:
    del truth
    return np.array([not isinstance(answer, ParseFailure) for answer in group], dtype=np.float32)
