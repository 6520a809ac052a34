"""The section validate."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from components.params.model import StageParams


class ValidateParams(StageParams):
    section: ClassVar[str] = "validate"
    max_quarantined_frac: float = Field(ge=0, le=1)
    """Share of images that may be refused singly before the stage stops; 0 = none."""
    max_outside_frac: float = Field(ge=0, le=1)
    """Share of boxes that may leave the image before a warning (CrowdHuman: 0.22 by design)."""
    near_duplicate_bits: int | None = Field(ge=0, le=256)
    """Images of two splits whose hashes of 256 bits differ in so few are the same picture; null = no search."""
    max_near_duplicate_frac: float = Field(ge=0, le=1)
    max_format_doubt_frac: float = Field(gt=0, le=1)
    """More boxes than this outside their image, or with numbers up to 2 only: the format is misread."""
    max_one_based_frac: float = Field(ge=0, le=1)
    max_sides_away: float = Field(gt=0)
    """How many image sides beyond the edge a coordinate may lie."""
    max_people: int = Field(ge=1)
    min_mean_people: float = Field(ge=0)
    max_mean_people: float = Field(gt=0)
