"""Prompts' rows as what they say: the truth, the frame, the answer; and the tiles of one image as one image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from components.core.boxes import as_boxes
from components.core.frames import ImageView
from components.core.grammars import GRAMMARS, AnyParsed, read_completion
from components.core.points import as_points
from components.core.scene import AnyTruth, CountTruth, TextTruth, Truth

Row = dict[str, Any]
READING_COLUMNS = (
    "sample_id", "answer_as", "thinking", "truth_boxes", "truth_labels", "truth_visible_frac", "ignore_boxes",
    "truth_count", "truth_points", "truth_text", "width_px", "height_px", "frame", "model_width_px", "model_height_px",
)  # fmt: skip
"""What `view_of_sample`, `truth_of_sample` and `read_sample` look at."""


def view_of_sample(sample: Row) -> ImageView:
    """The frame in which the model speaks about this sample."""
    size = (sample["model_width_px"], sample["model_height_px"])
    return ImageView(sample["width_px"], sample["height_px"], sample["frame"], size)


def read_sample(text: str, sample: Row) -> AnyParsed:
    """A completion of this sample in the grammar that it asks for."""
    return read_completion(sample["answer_as"], text, view_of_sample(sample), sample["thinking"])


def truth_of_sample(sample: Row) -> AnyTruth:
    """The truth that rides along with a prompt."""
    return _TRUTHS[GRAMMARS[sample["answer_as"]].truth](sample)


def truth_columns(truth: AnyTruth) -> Row:
    """The columns that `truth_of_sample` reads; those of other tasks are empty, or null."""
    columns: Row = {"truth_boxes": [], "truth_labels": [], "truth_visible_frac": [], "ignore_boxes": []}
    columns |= {"truth_count": None, "truth_points": None, "truth_text": None}
    if isinstance(truth, CountTruth):
        return columns | {
            "truth_count": truth.count,
            "truth_points": None if truth.points is None else truth.points.tolist(),
        }
    if isinstance(truth, TextTruth):
        return columns | {"truth_text": truth.text}
    visible = truth.visible_frac if truth.visible_frac is not None else np.ones(len(truth.boxes))
    return columns | {
        "truth_boxes": truth.boxes.tolist(),
        "truth_labels": list(truth.labels),
        "truth_visible_frac": np.asarray(visible).tolist(),
        "ignore_boxes": truth.ignore.tolist(),
    }


def _boxes(sample: Row) -> Truth:
    visible = sample["truth_visible_frac"]
    return Truth(
        boxes=as_boxes(sample["truth_boxes"]),
        labels=tuple(sample["truth_labels"]),
        ignore=as_boxes(sample["ignore_boxes"]),
        width_px=sample["width_px"],
        height_px=sample["height_px"],
        visible_frac=np.asarray(visible, dtype=np.float32) if visible is not None else None,
    )


def _count(sample: Row) -> CountTruth:
    points = sample["truth_points"]
    found = None if points is None else as_points(points)
    return CountTruth(sample["truth_count"], found, sample["width_px"], sample["height_px"])


def _text(sample: Row) -> TextTruth:
    return TextTruth(sample["truth_text"])


_TRUTHS: dict[type, Callable[[Row], AnyTruth]] = {Truth: _boxes, CountTruth: _count, TextTruth: _text}


def image_groups(samples: Sequence[Row]) -> list[list[int]]:
    """Places of the samples of one question about an image, in the order of first appearance.

    They are the image's tiles; one place where nothing is tiled.
    """
    groups: dict[tuple[str, str, int | None], list[int]] = {}
    for place, sample in enumerate(samples):
        groups.setdefault((sample["source"], sample["scene_id"], sample.get("ask")), []).append(place)
    return list(groups.values())


def whole_row(sample: Row) -> Row:
    """A sample as if it were of the whole image: its own row, or the image that its tile was cut from."""
    if sample["tile"] is None:
        return sample
    width, height = sample["whole_size_px"]
    return sample | {
        "sample_id": f"{sample['source']}/{sample['scene_id']}",
        "width_px": width,
        "height_px": height,
        "truth_boxes": sample["whole_truth_boxes"],
        "truth_labels": sample["whole_truth_labels"],
        "ignore_boxes": sample["whole_ignore_boxes"],
        "truth_visible_frac": None,  # known of the tile only
        "tile": None,
    }
