"""What a reward is: a function of all completions of one prompt, and the truth of its image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Reward: TypeAlias = Callable[[Sequence[Any], Any], NDArray[np.float32]]
"""(group of G answers or failures, truth) -> float32 (G,) in [0, 1]; NaN = not scored: no advantage comes from it."""

A = TypeVar("A")
T = TypeVar("T")


def per_answer(answer_type: type[A], truth_type: type[T], score: Callable[[A, T], float]) -> Reward:
    """Lifts a score of one answer to a group.

    A ParseFailure or an answer to another question earns 0; a truth of another kind is not this reward's business.
    """

    def reward(group: Sequence[Any], truth: Any) -> NDArray[np.float32]:
        if not isinstance(truth, truth_type):
            return np.full(len(group), np.nan, dtype=np.float32)
        scores = [score(one, truth) if isinstance(one, answer_type) else 0.0 for one in group]
        return np.array(scores, dtype=np.float32)

    return reward
