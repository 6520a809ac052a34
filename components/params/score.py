"""The section score."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from components.params.model import StageParams

Confidence = Literal["constant", "rank", "logprob", "consensus"]


class ScoreParams(StageParams):
    section: ClassVar[str] = "score"
    min_iou: float = Field(gt=0, le=1)
    confidence: Confidence
    """What ranks the boxes in the headline's AP and miss rates; the others stand beside it."""
    convention: Literal["lookout", "perception-r1"]
    """perception-r1 repeats that paper's public evaluation: score 1 for all, generation order, any list of boxes."""
    tie_shuffles: int = Field(ge=0)
    """Random orders among equal scores, for the spread of what constant scores give."""
    bootstrap_samples: int = Field(ge=0)
    seed: int

    @model_validator(mode="after")
    def _scores_of_the_convention(self) -> ScoreParams:
        if self.convention == "perception-r1" and self.confidence != "constant":
            raise ValueError(f"the convention perception-r1 scores every box 1: want constant, got {self.confidence}")
        return self
