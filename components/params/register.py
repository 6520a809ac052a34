"""The section register."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from components.params.model import StageParams, StrictModel
from components.params.names import Name


class ServingParams(StrictModel):
    """Bounds on what a request to a served version may ask; they travel with the version. All are ours.

    Which formats of images are decoded stands in store/image_files.py, the same everywhere.
    """

    most_pixels: int = Field(default=50_000_000, ge=1)
    """Of one image, known before it is decoded; a batch ends where it has as many. Cameras have up to 50 million."""
    most_bytes: int = Field(default=50_000_000, ge=1)
    """Of one image's file."""
    most_prompt_bytes: int = Field(default=4000, ge=1)
    """UTF-8; memory grows with the square of a prompt's length."""
    most_new_tokens: int = Field(default=4096, ge=1)
    """More than predict.max_new_tokens can be asked for, up to this."""
    most_seconds: float = Field(default=120.0, ge=0)
    """For a request's answers; 0 = no bound."""


class RegisterParams(StageParams):
    section: ClassVar[str] = "register"
    model_name: Name
    alias: Name
    allow_dirty: bool
    """Register code that is not committed, under a loud tag; promotion refuses such a version."""
    serving: ServingParams = ServingParams()
