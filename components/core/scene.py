"""What travels between readers, prompts, rewards and metrics: images with the people in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import Boxes
from components.core.points import Points


@dataclass(frozen=True, slots=True)
class Image:
    """An image on disk. `path` is relative to its dataset's root; sizes are upright (EXIF applied)."""

    path: str
    width_px: int
    height_px: int
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One annotated image as its dataset tells it: raw boxes, nothing clipped, nothing dropped.

    truth (N, 4) with N labels; visible (N, 4) where the dataset has visible boxes
    (a row of NaN is not allowed: a person without one repeats the full box); ignore (M, 4).
    """

    scene_id: str
    image: Image
    truth: Boxes
    labels: tuple[str, ...]
    visible: Boxes | None
    ignore: Boxes
    source: str
    split: str


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What an answer about one image is held against: boxes clipped to the image, original pixels."""

    boxes: Boxes  # (N, 4)
    labels: tuple[str, ...]  # N
    ignore: Boxes  # (M, 4)
    width_px: int
    height_px: int
    visible_frac: NDArray[np.float32] | None = None  # (N,) in [0, 1]


@dataclass(frozen=True, slots=True, eq=False)
class CountTruth:
    """How many there are and, where the dataset says so, where: points (N, 2), x y in original pixels."""

    count: int
    points: Points | None
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class TextTruth:
    """What is written in the image."""

    text: str


AnyTruth = Truth | CountTruth | TextTruth


@dataclass(frozen=True, slots=True)
class Sample:
    """One question about one image. Several samples may share a scene (tiles, repeats)."""

    sample_id: str
    scene_id: str
    task: str
    prompt: str
    image_path: str
