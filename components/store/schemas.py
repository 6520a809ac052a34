"""The tables between stages. Coordinates are original-image pixels unless a column says otherwise."""

from __future__ import annotations

import pyarrow as pa

from components.store.tables import TableSchema

_BOXES = pa.list_(pa.list_(pa.float32()))
_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

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
            ("points", _BOXES),  # x y of each counted thing; null where only the number is known, and in other tasks
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

QUARANTINE = TableSchema(
    "quarantine",
    1,
    pa.schema(
        [
            ("scene_id", pa.string()),
            ("split", pa.string()),
            ("image_path", pa.string()),
            ("reason", pa.string()),
            ("annotation", pa.string()),
        ]
    ),
)

PROMPTS = TableSchema(
    "prompts",
    3,
    pa.schema(
        [
            ("sample_id", pa.string()),
            ("scene_id", pa.string()),
            ("source", pa.string()),
            ("task", pa.string()),  # detect | ground | count | read
            ("answer_as", pa.string()),  # the grammar of the answer: a key of core.grammars.GRAMMARS
            ("thinking", pa.string()),  # look | think | none: the blocks before the answer
            ("image_path", pa.string()),  # relative to the checkout, or absolute where the dataset's root is
            ("image_sha256", pa.string()),
            ("width_px", pa.int32()),
            ("height_px", pa.int32()),
            ("frame", pa.string()),  # original | resized | relative_1000
            ("model_width_px", pa.int32()),  # after the processor's resizing
            ("model_height_px", pa.int32()),
            ("prompt", _MESSAGES),  # one user message; the image is put in front of its text by the chat template
            ("phrase", pa.string()),  # what the question is about, in words; null where the prompt needs none
            ("prompt_form", pa.string()),  # the prompt with {phrase} in place of it: what a served model is asked by
            ("completion", _MESSAGES),  # the gold answer, one assistant message
            ("gold_tokens", pa.int32()),  # length of the gold answer
            ("truth_boxes", _BOXES),  # clipped to the image, not rounded
            ("truth_labels", pa.list_(pa.string())),
            ("truth_visible_frac", pa.list_(pa.float32())),  # 1 where the dataset has no visible boxes
            ("ignore_boxes", _BOXES),
            ("truth_count", pa.int32()),  # of a counted thing; null in other tasks
            ("truth_points", _BOXES),  # x y each; null where the dataset has the number only, and in other tasks
            ("truth_text", pa.string()),  # of a page; null in other tasks
            ("ask", pa.int32()),  # the question's place among the image's; null where the image is the question
            # a tile: its rectangle in the image, and the whole image's truth; null for a sample of a whole image
            ("tile", pa.list_(pa.int32())),
            ("whole_size_px", pa.list_(pa.int32())),
            ("whole_truth_boxes", _BOXES),
            ("whole_truth_labels", pa.list_(pa.string())),
            ("whole_ignore_boxes", _BOXES),
        ]
    ),
)

ROLLOUTS = TableSchema(
    "rollouts",
    1,
    pa.schema(
        [
            ("step", pa.int32()),
            ("sample_id", pa.string()),
            ("group_id", pa.string()),
            ("index_in_group", pa.int32()),
            ("text", pa.string()),
            ("token_count", pa.int32()),
            ("failure", pa.string()),  # null where it parsed
            ("rewards", pa.map_(pa.string(), pa.float32())),  # a null value = not scored
            ("total", pa.float32()),
            ("advantage", pa.float32()),
            ("disagreement", pa.binary()),  # float16 (grid, grid), on the group's first row; null elsewhere
        ]
    ),
)

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
            ("look_boxes", _BOXES),
            ("think", pa.string()),
            ("disagreement", pa.binary()),  # float16 (32, 32) of the sampled answers; null without samples or tiled
            ("answer_count", pa.int32()),  # of a count; null in other tasks
            ("answer_points", _BOXES),  # x y each; null where the count is a number, and in other tasks
            ("answer_text", pa.string()),  # what was read; null in other tasks
        ]
    ),
)
