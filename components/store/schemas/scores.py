"""What score writes."""

from __future__ import annotations

from typing import TypedDict

from components.store.schemas.columns import BoxList, Float32, Int32
from components.store.tables import TableSchema


class DetectionRow(TypedDict):
    """A box of an answer."""

    sample_id: str
    scene_id: str
    source: str
    order: Int32  # position in the answer
    x1: Float32
    y1: Float32
    x2: Float32
    y2: Float32
    label: str
    score: Float32


class PerImageRow(TypedDict):
    """An answer. The counts pool to the headline, 2 matched / (predicted + truth): boxes in detect, words in read, 1
    in others."""

    sample_id: str
    scene_id: str
    source: str
    task: str
    failure: str | None  # null where the answer parsed
    truth_count: Int32
    predicted_count: Int32  # after the ignore rule
    matched_count: Int32
    matched_iou_sum: Float32
    look_boxes: BoxList
    think: str | None
    disagreement: bytes | None  # float16 (32, 32) of the sampled answers; null without samples or tiled
    answer_count: Int32 | None  # of a count; null in other tasks
    answer_points: BoxList | None  # null where the count is a number, and in other tasks
    answer_text: str | None  # what was read; null in other tasks


DETECTIONS = TableSchema("detections", 1, DetectionRow)
PER_IMAGE = TableSchema("per_image", 3, PerImageRow)
