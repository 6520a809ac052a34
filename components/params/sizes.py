"""How many images or samples each split has."""

from __future__ import annotations

from pydantic import Field

from components.params.model import StrictModel


class SplitSizes(StrictModel):
    train: int = Field(ge=1)
    val: int = Field(ge=1)
    test: int = Field(ge=1)
