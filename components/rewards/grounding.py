"""The grounding reward: how well one box covers what a sentence refers to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from components.core.boxes import iou
from components.core.completion import Answer
from components.core.scene import Truth
from components.rewards.reward import Reward, per_answer

GATE = 0.5


class GroundingSettings(Protocol):
    """The section rewards.grounding of params.yaml."""

    @property
    def reading(self) -> str: ...


READINGS: dict[str, Callable[[float], float]] = {
    "iou_squared": lambda overlap: overlap**2,
    "iou": lambda overlap: overlap,
    "iou_gated": lambda overlap: overlap if overlap >= GATE else 0.0,
}


def make(settings: GroundingSettings) -> Reward:
    """IoU of the one box with the one that is meant, squared by default: in [0, 1].

    Squared, the whole image earns the square of its share at most: naming everything does not pay. A truth of
    other than one box is not scored. Source: Perception-R1, arXiv:2504.07954 (its text has the IoU, its code squares).
    """
    shape = READINGS[settings.reading]

    def score(answer: Answer, truth: Truth) -> float:
        if len(truth.boxes) != 1 or len(answer.boxes) != 1:
            return float("nan") if len(truth.boxes) != 1 else 0.0
        return shape(float(iou(answer.boxes, truth.boxes)[0, 0]))

    return per_answer(Answer, Truth, score)
