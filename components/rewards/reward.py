"""What a reward is: a function of all completions of one prompt, and the truth of its image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from components.core.completion import Parsed
from components.core.scene import Truth

Reward: TypeAlias = Callable[[Sequence[Parsed], Truth], NDArray[np.float32]]
"""(group of G, truth) -> float32 (G,) in [0, 1]; NaN = not scored, so that no advantage comes from it."""


def per_completion(score: Callable[[Parsed, Truth], float]) -> Reward:
    """Lifts a score of one completion to a group."""

    def reward(group: Sequence[Parsed], truth: Truth) -> NDArray[np.float32]:
        return np.array([score(answer, truth) for answer in group], dtype=np.float32)

    return reward
