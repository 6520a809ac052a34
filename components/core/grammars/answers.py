"""What the grammars beside that of boxes give. Boxes, also a single one, are a completion.Answer."""

from __future__ import annotations

from dataclasses import dataclass

from components.core.boxes import Boxes
from components.core.points import Points


@dataclass(frozen=True, slots=True, eq=False)
class CountAnswer:
    """How many, and where: points (N, 2) in original pixels, None where a bare number was said."""

    think: str
    look: Boxes  # (L, 4)
    count: int
    points: Points | None


@dataclass(frozen=True, slots=True, eq=False)
class TextAnswer:
    """What is written in the image, as the model says."""

    think: str
    look: Boxes  # (L, 4)
    text: str
