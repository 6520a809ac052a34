"""The section promote: the gates."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from components.params.model import StageParams


class PromoteParams(StageParams):
    """The gates that a version passes to become champion."""

    section: ClassVar[str] = "promote"
    metric: Literal["detection.f1", "headline"]
    """What a challenger must be better in; the headline is each task's own number, in detection the same F1.

    The interval of its gain is a paired bootstrap over the same images.
    """
    min_gain: float = Field(ge=0)
    """The gain itself must be larger; a tie is no gain."""
    confidence: float = Field(gt=0.5, lt=1)
    """One-sided: the gain must lie above 0 with so much confidence."""
    max_regression: float = Field(ge=0)
    """On no dataset may the metric fall by more."""
    required_protocols: list[
        Literal["detection", "coco", "coco_500", "crowdhuman", "citypersons", "detect", "ground", "count", "read"]
    ]
    """Tables and tasks that must have a number."""
    allow_noncommercial: bool
    """Whether data under a non-commercial licence may stand behind a champion."""
    allowed_licences: list[str]
    """Licences that a person has read and allows, word for word as `licence` in a dataset's entry has them.

    An SPDX expression, own, CC0 and public domain need no entry; every other text is unknown, and the gate fails.
    """
    bootstrap_samples: int = Field(ge=100)
    seed: int
