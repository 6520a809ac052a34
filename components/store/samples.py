"""Prompts' rows put together again: the tiles of one image are one image to whoever scores or shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def image_groups(samples: Sequence[Row]) -> list[list[int]]:
    """Places of the samples of each image, in the order of first appearance; one place where nothing is tiled."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place, sample in enumerate(samples):
        groups.setdefault((sample["source"], sample["scene_id"]), []).append(place)
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
