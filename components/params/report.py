"""The section report."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from components.params.model import StageParams


class ReportParams(StageParams):
    section: ClassVar[str] = "report"
    gallery_images: int = Field(ge=1)
