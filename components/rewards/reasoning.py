"""The format reward: all three steps are there and can be read."""

from __future__ import annotations

from components.core.completion import Answer, Parsed
from components.core.scene import Truth
from components.rewards.reward import Reward, per_completion


def make(settings: object) -> Reward:
    """1.0 for an Answer, 0.0 for a ParseFailure. It has no settings.

    Source: DIP-R1, arXiv:2505.23179 ("a standard reasoning reward"); the grammar is ours.
    """
    del settings
    return per_completion(_score)


def _score(answer: Parsed, truth: Truth) -> float:
    del truth
    return float(isinstance(answer, Answer))
