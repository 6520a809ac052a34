"""The section sft."""

from __future__ import annotations

from typing import ClassVar

from components.params.trainer import TrainerParams


class SftParams(TrainerParams):
    section: ClassVar[str] = "sft"
