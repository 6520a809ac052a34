"""Prompts' rows as what they say: the truth, the frame, the answer; and the tiles of one image as one image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from components.core.boxes import as_boxes
from components.core.frames import ImageView
from components.core.grammars import GRAMMARS, AnyParsed, read_completion
from components.core.points import as_points
from components.core.scene import AnyTruth, CountTruth, TextTruth, Truth
from components.core.words import Frame, Thinking
from components.errors import DataError
from components.store.schemas.columns import Int32
from components.store.schemas.prompts import PromptRow, TruthColumns

NO_TRUTH = "a sample that is answered as {} has no {}; was the file of prompts changed? run prompts again"


class Readable(TruthColumns):
    """Of a PromptRow, what `view_of_sample`, `truth_of_sample` and `read_sample` look at."""

    answer_as: str
    thinking: Thinking
    width_px: Int32
    height_px: Int32
    frame: Frame
    model_width_px: Int32
    model_height_px: Int32


READING_COLUMNS = ("sample_id", *Readable.__annotations__)
"""What a prompt's completions are gathered and scored by."""


def view_of_sample(sample: Readable) -> ImageView:
    """The frame in which the model speaks about this sample."""
    size = (sample["model_width_px"], sample["model_height_px"])
    return ImageView(sample["width_px"], sample["height_px"], sample["frame"], size)


def read_sample(text: str, sample: Readable) -> AnyParsed:
    """A completion of this sample in the grammar that it asks for."""
    return read_completion(sample["answer_as"], text, view_of_sample(sample), sample["thinking"])


def truth_of_sample(sample: Readable) -> AnyTruth:
    """The truth that rides along with a prompt."""
    return _TRUTHS[GRAMMARS[sample["answer_as"]].truth](sample)


def truth_columns(truth: AnyTruth) -> TruthColumns:
    """The columns that `truth_of_sample` reads; those of other tasks are empty, or null."""
    columns: TruthColumns = {
        "truth_boxes": [], "truth_labels": [], "truth_visible_frac": [], "ignore_boxes": [],
        "truth_count": None, "truth_points": None, "truth_text": None,
    }  # fmt: skip
    if isinstance(truth, CountTruth):
        points = None if truth.points is None else truth.points.tolist()
        return {**columns, "truth_count": truth.count, "truth_points": points}
    if isinstance(truth, TextTruth):
        return {**columns, "truth_text": truth.text}
    visible = truth.visible_frac if truth.visible_frac is not None else np.ones(len(truth.boxes))
    return {
        **columns,
        "truth_boxes": truth.boxes.tolist(),
        "truth_labels": list(truth.labels),
        "truth_visible_frac": np.asarray(visible).tolist(),
        "ignore_boxes": truth.ignore.tolist(),
    }


def _boxes(sample: Readable) -> Truth:
    visible = sample["truth_visible_frac"]
    return Truth(
        boxes=as_boxes(sample["truth_boxes"]),
        labels=tuple(sample["truth_labels"]),
        ignore=as_boxes(sample["ignore_boxes"]),
        width_px=sample["width_px"],
        height_px=sample["height_px"],
        visible_frac=np.asarray(visible, dtype=np.float32) if visible is not None else None,
    )


def _count(sample: Readable) -> CountTruth:
    points = sample["truth_points"]
    found = None if points is None else as_points(points)
    if sample["truth_count"] is None:
        raise DataError(NO_TRUTH.format(sample["answer_as"], "truth_count"))
    return CountTruth(sample["truth_count"], found, sample["width_px"], sample["height_px"])


def _text(sample: Readable) -> TextTruth:
    if sample["truth_text"] is None:
        raise DataError(NO_TRUTH.format(sample["answer_as"], "truth_text"))
    return TextTruth(sample["truth_text"])


_TRUTHS: dict[type, Callable[[Readable], AnyTruth]] = {Truth: _boxes, CountTruth: _count, TextTruth: _text}


def image_groups(samples: Sequence[PromptRow]) -> list[list[int]]:
    """Places of the samples of one question about an image, in the order of first appearance.

    They are the image's tiles; one place where nothing is tiled.
    """
    groups: dict[tuple[str, str, int | None], list[int]] = {}
    for place, sample in enumerate(samples):
        groups.setdefault((sample["source"], sample["scene_id"], sample.get("ask")), []).append(place)
    return list(groups.values())


def whole_row(sample: PromptRow) -> PromptRow:
    """A sample as if it were of the whole image: its own row, or the image that its tile was cut from."""
    if sample["tile"] is None:
        return sample
    size, labels = sample["whole_size_px"], sample["whole_truth_labels"]
    boxes, ignore = sample["whole_truth_boxes"], sample["whole_ignore_boxes"]
    if size is None or labels is None or boxes is None or ignore is None:
        raise DataError(f"{sample['sample_id']} is a tile without its image's truth; run prompts again")
    return {
        **sample,
        "sample_id": f"{sample['source']}/{sample['scene_id']}",
        "width_px": size[0],
        "height_px": size[1],
        "truth_boxes": boxes,
        "truth_labels": labels,
        "ignore_boxes": ignore,
        "truth_visible_frac": None,  # known of the tile only
        "tile": None,
    }
