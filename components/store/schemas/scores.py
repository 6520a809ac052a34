"""What score writes."""

from __future__ import annotations

import pyarrow as pa

from components.store.schemas.columns import BOX_LISTS
from components.store.tables import TableSchema

DETECTIONS = TableSchema(
    "detections",
    1,
    pa.schema(
        [
            ("sample_id", pa.string()),
            ("scene_id", pa.string()),
            ("source", pa.string()),
            ("order", pa.int32()),  # position in the answer
            ("x1", pa.float32()), ("y1", pa.float32()), ("x2", pa.float32()), ("y2", pa.float32()),
            ("label", pa.string()),
            ("score", pa.float32()),
        ]
    ),
)  # fmt: skip


PER_IMAGE = TableSchema(
    "per_image",
    3,
    pa.schema(
        [
            ("sample_id", pa.string()),
            ("scene_id", pa.string()),
            ("source", pa.string()),
            ("task", pa.string()),
            ("failure", pa.string()),  # null where the answer parsed
            # what pools to the headline: 2 matched / (predicted + truth). Boxes in detect, words in read, 1 in others
            ("truth_count", pa.int32()),
            ("predicted_count", pa.int32()),  # after the ignore rule
            ("matched_count", pa.int32()),
            ("matched_iou_sum", pa.float32()),
            ("look_boxes", BOX_LISTS),
            ("think", pa.string()),
            ("disagreement", pa.binary()),  # float16 (32, 32) of the sampled answers; null without samples or tiled
            ("answer_count", pa.int32()),  # of a count; null in other tasks
            ("answer_points", BOX_LISTS),  # x y each; null where the count is a number, and in other tasks
            ("answer_text", pa.string()),  # what was read; null in other tasks
        ]
    ),
)
