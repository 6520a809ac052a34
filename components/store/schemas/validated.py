"""What validate writes."""

from __future__ import annotations

from typing import TypedDict

from components.core.words import Split
from components.store.tables import TableSchema


class QuarantineRow(TypedDict):
    """An image that is refused."""

    scene_id: str
    split: Split
    image_path: str
    reason: str
    annotation: str


QUARANTINE = TableSchema("quarantine", 1, QuarantineRow)
