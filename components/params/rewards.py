"""The section rewards."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from components.core.tasks import reward_names
from components.params.model import StageParams, StrictModel


class LookingParams(StrictModel):
    grid: int = Field(ge=2)
    reading: Literal["map", "instances"]


class PrecisionRecallParams(StrictModel):
    tau: float = Field(gt=0, le=1)
    precision_weight: float = Field(ge=0, le=1)
    mean: Literal["harmonic", "arithmetic"]
    quality: Literal["iou", "hit"]
    matching: Literal["optimal", "greedy"]


class GroundingParams(StrictModel):
    reading: Literal["iou_squared", "iou", "iou_gated"] = "iou_squared"
    """How the overlap of the one box is paid; gated: nothing below IoU .5."""


class PerceptionR1Params(StrictModel):
    """Weights of the terms of the reward perception_r1; the missing term is a factor of the last two."""

    f1: float = Field(default=1.0, ge=0)
    iou: float = Field(default=1.0, ge=0)
    label: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _some_term(self) -> PerceptionR1Params:
        if self.f1 + self.iou + self.label <= 0:
            raise ValueError("want one of f1, iou and label above 0")
        return self


class RewardsParams(StageParams):
    section: ClassVar[str] = "rewards"
    weights: dict[str, float]
    """Weight of each reward by name; the total is the plain weighted sum of what is scored.

    A reward scores the samples whose answers it can judge, and no others.
    """
    looking: LookingParams
    precision_recall: PrecisionRecallParams
    grounding: GroundingParams = GroundingParams()
    perception_r1: PerceptionR1Params = PerceptionR1Params()

    @model_validator(mode="after")
    def _some_weight(self) -> RewardsParams:
        unknown = set(self.weights) - set(reward_names())
        if unknown:
            raise ValueError(f"rewards.weights has unknown rewards {sorted(unknown)}")
        if not self.weights or min(self.weights.values()) < 0 or sum(self.weights.values()) <= 0:
            raise ValueError(f"rewards.weights {self.weights}: want no negative weight and one above 0")
        return self
