"""What prompts writes: a row a sample. Coordinates are original-image pixels unless a column says otherwise."""

from __future__ import annotations

import pyarrow as pa

from components.store.schemas.columns import BOX_LISTS, MESSAGES
from components.store.tables import TableSchema

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
            ("prompt", MESSAGES),  # one user message; the image is put in front of its text by the chat template
            ("phrase", pa.string()),  # what the question is about, in words; null where the prompt needs none
            ("prompt_form", pa.string()),  # the prompt with {phrase} in place of it: what a served model is asked by
            ("completion", MESSAGES),  # the gold answer, one assistant message
            ("gold_tokens", pa.int32()),  # length of the gold answer
            ("truth_boxes", BOX_LISTS),  # clipped to the image, not rounded
            ("truth_labels", pa.list_(pa.string())),
            ("truth_visible_frac", pa.list_(pa.float32())),  # 1 where the dataset has no visible boxes
            ("ignore_boxes", BOX_LISTS),
            ("truth_count", pa.int32()),  # of a counted thing; null in other tasks
            ("truth_points", BOX_LISTS),  # x y each; null where the dataset has the number only, and in other tasks
            ("truth_text", pa.string()),  # of a page; null in other tasks
            ("ask", pa.int32()),  # the question's place among the image's; null where the image is the question
            # a tile: its rectangle in the image, and the whole image's truth; null for a sample of a whole image
            ("tile", pa.list_(pa.int32())),
            ("whole_size_px", pa.list_(pa.int32())),
            ("whole_truth_boxes", BOX_LISTS),
            ("whole_truth_labels", pa.list_(pa.string())),
            ("whole_ignore_boxes", BOX_LISTS),
        ]
    ),
)
