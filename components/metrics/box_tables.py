"""What detection says in metrics.json outside its task's entry: a table a protocol, and the same boxes otherwise."""

from __future__ import annotations

from typing import Any, TypedDict

Numbers = dict[str, float | None]
"""A number by its name; None where it is undefined."""


class DatasetTables(TypedDict):
    """One dataset's images alone."""

    images: int
    detection: dict[str, Any]
    coco: Numbers
    crowdhuman: Numbers


class BoxTables(TypedDict, total=False):
    """Nothing of it is there where detection is not asked for. The confidence is that by which boxes are ranked."""

    confidence: str
    convention: str
    convention_means: str
    coco: Numbers
    coco_500: Numbers
    crowdhuman: Numbers
    citypersons: Numbers
    detection: dict[str, Any]  # numbers, and f1_interval: the two ends, or null
    salvaged: Numbers  # detection's, with what unreadable answers held of whole boxes
    confidences: dict[str, Numbers]  # what depends on the ranking, under each confidence
    tie_shuffles: dict[str, Any]  # mean and sd by the number's name, and seeds: how many orders were drawn
    datasets: dict[str, DatasetTables]
