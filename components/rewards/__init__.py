"""The rewards and their table. A reward sees the whole group of one prompt; see reward.Reward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from components.rewards import looking, precision_recall, reasoning
from components.rewards.reward import Reward


class LookingParams(looking.LookingSettings, Protocol):
    @property
    def reading(self) -> str: ...


class RewardParams(Protocol):
    """The section rewards of params.yaml."""

    @property
    def weights(self) -> Mapping[str, float]: ...
    @property
    def looking(self) -> LookingParams: ...
    @property
    def precision_recall(self) -> precision_recall.PrecisionRecallSettings: ...


RewardFactory = Callable[[RewardParams], Reward]

REWARDS: dict[str, RewardFactory] = {
    "reasoning": reasoning.make,
    "looking": lambda params: looking.make(params.looking),
    "looking_instances": lambda params: looking.make_instances(params.looking, params.precision_recall),
    "precision_recall": lambda params: precision_recall.make(params.precision_recall),
}


def chosen_reading(name: str, params: RewardParams) -> str:
    """The key of REWARDS behind a name in rewards.weights: `looking.reading` picks the reading of looking."""
    return "looking_instances" if name == "looking" and params.looking.reading == "instances" else name


def make_rewards(params: RewardParams) -> dict[str, tuple[float, Reward]]:
    """name -> (weight, reward) of what the params choose."""
    return {name: (weight, REWARDS[chosen_reading(name, params)](params)) for name, weight in params.weights.items()}


def weighted_total(scores: Mapping[str, NDArray[np.float32]], weights: Mapping[str, float]) -> NDArray[np.float32]:
    """float32 (G,): the plain weighted sum of what is scored; a NaN part adds nothing."""
    parts = [weights[name] * np.nan_to_num(score, nan=0.0) for name, score in scores.items()]
    return np.stack(parts).sum(axis=0).astype(np.float32)
