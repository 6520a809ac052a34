"""What every section's model is: strict, frozen, without unknown keys."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

LONGEST_VALUE = 80
"""Characters of a wrong value that a message shows."""


class StrictModel(BaseModel):
    """No unknown keys, no silent conversions ("3" is not 3), no infinity, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class StageParams(StrictModel):
    """The section of params.yaml that one stage reads."""

    section: ClassVar[str]
