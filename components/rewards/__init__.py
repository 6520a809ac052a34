"""The rewards and their table. A reward sees the whole group of one prompt; see reward.Reward."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from components.core.words import Thinking
from components.rewards import counting, grounding, looking, ocr, perception_r1, precision_recall, reasoning
from components.rewards.collapse import Sign, dead, paid_for_form
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
    @property
    def grounding(self) -> grounding.GroundingSettings: ...
    @property
    def perception_r1(self) -> perception_r1.PerceptionR1Settings: ...


@dataclass(frozen=True, slots=True)
class RewardFactory:
    """params -> reward; `grammars`: the answers that it can judge (keys of core.grammars.GRAMMARS), None: all."""

    make: Callable[[RewardParams], Reward]
    grammars: frozenset[str] | None
    collapse: Sign = dead
    """How a policy that games this reward, or that has died under it, shows in its mean."""
    accuracy: bool = True
    """Whether it says how right an answer is, not only how it is written or where it looks."""
    needs_look: bool = False
    """Whether it judges look boxes, which not every completion has to have."""

    def __call__(self, params: RewardParams) -> Reward:
        return self.make(params)


def _of(*grammars: str) -> frozenset[str]:
    return frozenset(grammars)


REWARDS: dict[str, RewardFactory] = {
    "reasoning": RewardFactory(reasoning.make, None, paid_for_form("format", 0.9), accuracy=False),
    "looking": RewardFactory(
        lambda params: looking.make(params.looking),
        _of("boxes"),
        paid_for_form("look", 0.5),
        accuracy=False,
        needs_look=True,
    ),
    "looking_instances": RewardFactory(
        lambda params: looking.make_instances(params.looking, params.precision_recall),
        _of("boxes"),
        paid_for_form("look", 0.5),
        accuracy=False,
        needs_look=True,
    ),
    "precision_recall": RewardFactory(lambda params: precision_recall.make(params.precision_recall), _of("boxes")),
    "perception_r1": RewardFactory(lambda params: perception_r1.make(params.perception_r1), _of("boxes")),
    "grounding": RewardFactory(lambda params: grounding.make(params.grounding), _of("box")),
    "counting": RewardFactory(counting.make_points, _of("points")),
    "counting_number": RewardFactory(counting.make_number, _of("points", "number")),
    "ocr": RewardFactory(ocr.make, _of("text")),
}


def chosen_reading(name: str, params: RewardParams) -> str:
    """The key of REWARDS behind a name in rewards.weights: `looking.reading` picks the reading of looking."""
    return "looking_instances" if name == "looking" and params.looking.reading == "instances" else name


def make_rewards(params: RewardParams) -> dict[str, tuple[float, Reward]]:
    """name -> (weight, reward) of what the params choose."""
    return {name: (weight, REWARDS[chosen_reading(name, params)](params)) for name, weight in params.weights.items()}


def judges(name: str, grammar: str, thinking: Thinking) -> bool:
    """Whether the reward of this name in rewards.weights scores answers of this grammar and amount of thinking."""
    factory = REWARDS[name]
    judged = factory.grammars is None or grammar in factory.grammars
    return judged and (thinking == "look" or not factory.needs_look)


def without_accuracy(weights: Mapping[str, float], grammars: Iterable[str]) -> list[str]:
    """The grammars whose answers no weighted reward holds against the truth: nothing would teach them."""
    paying = [name for name, weight in weights.items() if weight > 0 and REWARDS[name].accuracy]
    return [grammar for grammar in dict.fromkeys(grammars) if not any(judges(name, grammar, "look") for name in paying)]


def collapse_signs(first: Mapping[str, float], last: Mapping[str, float]) -> list[str]:
    """What each reward of a run says of its own collapse; that one has died is not said again where form is paid.

    first, last: name -> mean in the first and the last steps.
    """
    accurate = [name for name in last if REWARDS[name].accuracy]
    said = {name: REWARDS[name].collapse(name, first, last, accurate) for name in last}
    gamed = [sign for name, sign in said.items() if sign is not None and name not in accurate]
    return gamed or [sign for sign in said.values() if sign is not None]


def weighted_total(scores: Mapping[str, NDArray[np.float32]], weights: Mapping[str, float]) -> NDArray[np.float32]:
    """float32 (G,): the plain weighted sum of what is scored; a NaN part adds nothing."""
    parts = [weights[name] * np.nan_to_num(score, nan=0.0) for name, score in scores.items()]
    return np.stack(parts).sum(axis=0).astype(np.float32)
