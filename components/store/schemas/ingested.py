"""What ingest writes. Coordinates are original-image pixels, nothing clipped."""

from __future__ import annotations

import pyarrow as pa

from components.store.schemas.columns import BOX_LISTS
from components.store.tables import TableSchema

SCENES = TableSchema(
    "scenes",
    3,
    pa.schema(
        [
            ("scene_id", pa.string()),  # unique within the dataset, all splits together
            ("source", pa.string()),  # the dataset's name in params.yaml
            ("split", pa.string()),  # train | val | test
            ("image_path", pa.string()),  # relative to the dataset's root
            ("width_px", pa.int32()),  # upright; null where the image could not be read
            ("height_px", pa.int32()),
            ("stated_width_px", pa.int32()),  # as the annotations have it; null where they have none
            ("stated_height_px", pa.int32()),
            ("sha256", pa.string()),  # of the file's bytes; null where it is missing
            ("stated_sha256", pa.string()),  # as the annotations have it; null where they have none
            ("file_bytes", pa.int64()),
            ("exif_orientation", pa.int32()),  # 1 = upright as stored
            ("perceptual_hash", pa.binary()),  # 256 bits, few of which differ between pictures that look the same
            ("image_defect", pa.string()),  # null | missing | empty | truncated | unreadable | wrong_type
            ("annotation", pa.string()),  # file:line (or key) that the row was read from
        ]
    ),
)


BOXES = TableSchema(
    "boxes",
    1,
    pa.schema(
        [
            ("scene_id", pa.string()),
            ("split", pa.string()),
            ("box_index", pa.int32()),  # position in the annotation
            ("label", pa.string()),  # the dataset's own word
            ("ignore", pa.bool_()),
            # raw boxes, nothing clipped; float64 so that NaN and huge numbers reach validation as they are
            ("x1", pa.float64()), ("y1", pa.float64()), ("x2", pa.float64()), ("y2", pa.float64()),
            ("visible_x1", pa.float64()), ("visible_y1", pa.float64()),
            ("visible_x2", pa.float64()), ("visible_y2", pa.float64()),
            ("head_x1", pa.float64()), ("head_y1", pa.float64()), ("head_x2", pa.float64()), ("head_y2", pa.float64()),
        ]
    ),
)  # fmt: skip


ASKS = TableSchema(
    "asks",
    1,
    pa.schema(
        [
            ("scene_id", pa.string()),
            ("split", pa.string()),
            ("ask_index", pa.int32()),  # position among the image's questions
            ("phrase", pa.string()),  # the sentence that refers to something, or the word for what is counted
            ("box_index", pa.int32()),  # of the box in `boxes` that the sentence refers to; null in other tasks
            ("count", pa.int32()),  # how many; null in other tasks
            ("points", BOX_LISTS),  # x y of each counted thing; null where only the number is known, and in other tasks
            ("text", pa.string()),  # what is written in the image; null in other tasks
            ("annotation", pa.string()),  # file:line (or key) that the row was read from
        ]
    ),
)
"""A dataset's own questions, a row each; detection asks none: its boxes say it all."""


NOTES = TableSchema(
    "notes",
    1,
    pa.schema(
        [
            ("split", pa.string()),
            ("kind", pa.string()),  # skipped | altered | flagged
            ("where", pa.string()),  # file and line or key
            ("reason", pa.string()),
        ]
    ),
)
