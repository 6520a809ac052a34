"""What prompts writes: a row a sample. Coordinates are original-image pixels unless a column says otherwise."""

from __future__ import annotations

from typing import TypedDict

from components.core.words import Frame, Thinking
from components.store.schemas.columns import BoxList, Float32, Int32, Message
from components.store.tables import TableSchema


class AskedColumns(TypedDict):
    """Which image is asked about, and how."""

    sample_id: str
    scene_id: str
    source: str
    task: str  # detect | ground | count | read
    answer_as: str  # the grammar of the answer: a key of core.grammars.GRAMMARS
    thinking: Thinking  # the blocks before the answer
    image_path: str  # relative to the checkout, or absolute where the dataset's root is
    image_sha256: str
    width_px: Int32
    height_px: Int32
    frame: Frame
    model_width_px: Int32  # after the processor's resizing
    model_height_px: Int32


class WordColumns(TypedDict):
    """The question."""

    prompt: list[Message]  # one user message; the image is put in front of its text by the chat template
    phrase: str | None  # what the question is about, in words; null where the prompt needs none
    prompt_form: str  # the prompt with {phrase} in place of it: what a served model is asked by


class GoldColumns(TypedDict):
    """The answer as it is taught."""

    completion: list[Message] | None  # the gold answer, one assistant message; null where the truth does not say
    gold_tokens: Int32  # length of the gold answer


class TruthColumns(TypedDict):
    """What an answer is held against; what is not the task's is empty, or null."""

    truth_boxes: BoxList  # clipped to the image, not rounded
    truth_labels: list[str]
    truth_visible_frac: list[Float32] | None  # 1 where the dataset has no visible boxes; null of a tile's whole image
    ignore_boxes: BoxList
    truth_count: Int32 | None  # of a counted thing
    truth_points: BoxList | None  # null where the dataset has the number only, too
    truth_text: str | None  # of a page


class TileColumns(TypedDict):
    """A tile's rectangle in the image, and the whole image's truth; null for a sample of a whole image."""

    ask: Int32 | None  # the question's place among the image's; null where the image is the question
    tile: list[Int32] | None
    whole_size_px: list[Int32] | None
    whole_truth_boxes: BoxList | None
    whole_truth_labels: list[str] | None
    whole_ignore_boxes: BoxList | None


class PromptRow(AskedColumns, WordColumns, GoldColumns, TruthColumns, TileColumns):
    """A sample."""


PROMPTS = TableSchema("prompts", 3, PromptRow)
