"""What ingest writes. Coordinates are original-image pixels, nothing clipped."""

from __future__ import annotations

from typing import Literal, TypedDict

from components.core.words import Split
from components.store.schemas.columns import BoxList, Float64, Int32, Int64
from components.store.tables import TableSchema


class SceneRow(TypedDict):
    """An image."""

    scene_id: str  # unique within the dataset, all splits together
    source: str  # the dataset's name in params.yaml
    split: Split
    image_path: str  # relative to the dataset's root
    width_px: Int32 | None  # upright; null where the image could not be read
    height_px: Int32 | None
    stated_width_px: Int32 | None  # as the annotations have it; null where they have none
    stated_height_px: Int32 | None
    sha256: str | None  # of the file's bytes; null where it is missing
    stated_sha256: str | None  # as the annotations have it; null where they have none
    file_bytes: Int64 | None
    exif_orientation: Int32 | None  # 1 = upright as stored
    perceptual_hash: bytes | None  # 256 bits, few of which differ between pictures that look the same
    image_defect: str | None  # missing | empty | truncated | unreadable | wrong_type
    annotation: str  # file:line (or key) that the row was read from


class BoxRow(TypedDict):
    """A raw box, nothing clipped; float64 so that NaN and huge numbers reach validation as they are."""

    scene_id: str
    split: Split
    box_index: Int32  # position in the annotation
    label: str  # the dataset's own word
    ignore: bool
    x1: Float64
    y1: Float64
    x2: Float64
    y2: Float64
    visible_x1: Float64 | None
    visible_y1: Float64 | None
    visible_x2: Float64 | None
    visible_y2: Float64 | None
    head_x1: Float64 | None
    head_y1: Float64 | None
    head_x2: Float64 | None
    head_y2: Float64 | None


class AskRow(TypedDict):
    """One of a dataset's own questions; detection asks none: its boxes say it all."""

    scene_id: str
    split: Split
    ask_index: Int32  # position among the image's questions
    phrase: str | None  # the sentence that refers to something, or the word for what is counted
    box_index: Int32 | None  # of the box in `boxes` that the sentence refers to; null in other tasks
    count: Int32 | None  # how many; null in other tasks
    points: BoxList | None  # of each counted thing; null where only the number is known, and in other tasks
    text: str | None  # what is written in the image; null in other tasks
    annotation: str  # file:line (or key) that the row was read from


class NoteRow(TypedDict):
    """What was not taken as it stands."""

    split: str
    kind: Literal["skipped", "altered", "flagged"]
    where: str  # file and line or key
    reason: str


SCENES = TableSchema("scenes", 3, SceneRow)
BOXES = TableSchema("boxes", 1, BoxRow)
ASKS = TableSchema("asks", 1, AskRow)
NOTES = TableSchema("notes", 1, NoteRow)
