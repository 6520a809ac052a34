"""What GRPO keeps of its completions."""

from __future__ import annotations

from typing import TypedDict

from components.store.schemas.columns import Float32, Int32
from components.store.tables import TableSchema


class RolloutRow(TypedDict):
    """A completion with its rewards."""

    step: Int32
    sample_id: str
    group_id: str
    index_in_group: Int32
    text: str
    token_count: Int32
    failure: str | None  # null where it parsed
    rewards: list[tuple[str, Float32 | None]]  # null = not scored
    total: Float32
    advantage: Float32 | None  # null where the trainer said none
    disagreement: bytes | None  # float16 (grid, grid), on the group's first row; null elsewhere


ROLLOUTS = TableSchema("rollouts", 1, RolloutRow)
