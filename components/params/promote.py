"""The section promote: the gates."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from components.core.tasks import TASKS, table_names, table_or_task_name
from components.params.model import StageParams

HEADLINE = "headline"


def _metric(name: str) -> str:
    """Whether a version has such a number is known when one is promoted."""
    table, _, number = name.partition(".")
    if name == HEADLINE or (table in TASKS and number == HEADLINE):
        return name
    if table in table_names() and number:
        return name
    raise ValueError(
        f"want {HEADLINE}, a task's ({', '.join(f'{task}.{HEADLINE}' for task in TASKS)}), or a number of "
        f"{', '.join(table_names())} by its name in metrics.json, like coco.AP"
    )


class PromoteParams(StageParams):
    """The gates that a version passes to become champion."""

    section: ClassVar[str] = "promote"
    metric: Annotated[str, AfterValidator(_metric)]
    """What a challenger must be better in, by its name in metrics.json; `headline` is that of all tasks, pooled.

    TASK.headline is one task's, TABLE.NUMBER a protocol's: detection.f1, detection.mean_f1, coco.AP, crowdhuman.MR.
    Where less is better a gain is a fall. The gain and its interval (a paired bootstrap) are over the same images.
    """
    min_gain: float = Field(ge=0)
    """The gain itself must be larger; a tie is no gain."""
    confidence: float = Field(gt=0.5, lt=1)
    """One-sided: the gain must lie above 0 with so much confidence."""
    max_regression: float = Field(ge=0)
    """On no dataset may the metric become worse by more."""
    required_protocols: list[Annotated[str, AfterValidator(table_or_task_name)]]
    """Tables and tasks that must have a number."""
    allow_noncommercial: bool
    """Whether data under a non-commercial licence may stand behind a champion."""
    allowed_licences: list[str]
    """Licences that a person has read and allows, word for word as `licence` in a dataset's entry has them.

    An SPDX expression, own, CC0 and public domain need no entry; every other text is unknown, and the gate fails.
    """
    bootstrap_samples: int = Field(ge=100)
    """Drawings of the images. 1,000 of 500 images with 25 people each take 22 s in COCO's numbers, 2 s in any other."""
    seed: int
