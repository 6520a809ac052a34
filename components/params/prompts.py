"""The section prompts."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from components.core.words import ModelFrame, Thinking
from components.params.model import StageParams
from components.params.sizes import SplitSizes


class PromptParams(StageParams):
    section: ClassVar[str] = "prompts"
    template: str | None
    """Text file with the user's message; its digest is in the lineage. null: the usual one of each task."""
    thinking: Thinking = "look"
    """What stands before the answer: thoughts and a second look, thoughts alone, or nothing."""
    labels: list[str] = Field(min_length=1)
    frame: ModelFrame
    max_completion_tokens: int = Field(ge=8)
    """A training image whose gold answer is longer is refused, with a count; a held-out one is asked all the same."""
    max_refused_frac: float = Field(ge=0, le=1)
    """A larger share of a dataset's training samples than this may not be refused. The value is ours: a tenth."""
    min_height_px: float = Field(ge=0)
    """A person lower than this in the model's pixels can hardly be seen: warned about where there are many."""
    look_iou: float = Field(gt=0, lt=1)
    """People whose boxes overlap by this much belong to one look box of the gold answer."""
    max_samples: SplitSizes
    """At most so many samples a split; the first in a seeded shuffle."""
    seed: int
