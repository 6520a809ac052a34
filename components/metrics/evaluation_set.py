"""All images' truth and predictions as flat float64 arrays: what every metric reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import Boxes
from components.core.scene import Truth

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.intp]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a model says about one image: boxes (N, 4) in original pixels, labels, scores (N,)."""

    boxes: Boxes
    labels: tuple[str, ...]
    scores: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """People and ignore regions, sorted by image; boxes in px (T, 4), image, label number, ignore, each (T,).

    xyxy is what every protocol reads; xywh, its other form, is COCO's, and where heights are told.
    `crowd` is COCO's own flag (only it makes COCO ignore a box), `area` COCO's px² that sorts people into small,
    medium and large, `visible_frac` the share that is seen, 1 where it is not known.
    """

    xyxy: Floats
    xywh: Floats
    image: Indices
    label: Indices
    ignore: Flags
    crowd: Flags
    area: Floats
    visible_frac: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """Predictions sorted by image, within an image as they were given; `order` is their place in the whole file."""

    xyxy: Floats
    xywh: Floats
    image: Indices
    label: Indices
    score: Floats
    order: Indices

    def only(self, kept: Flags) -> Predicted:
        """Those where `kept` (D,) is true."""
        columns: tuple[Any, ...] = (self.xyxy, self.xywh, self.image, self.label, self.score, self.order)
        return Predicted(*(column[kept] for column in columns))


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationSet:
    """size_px (I, 2): width and height of each image; truth and found refer to images by their place there."""

    size_px: Floats
    labels: tuple[str, ...]
    truth: Annotated
    found: Predicted

    @property
    def images(self) -> int:
        return len(self.size_px)

    @property
    def once(self) -> Indices:
        """(I,): every image drawn once, as the numbers of the whole set want it."""
        return np.ones(self.images, dtype=np.intp)

    def with_scores(self, scores: Floats) -> EvaluationSet:
        """The same boxes under other confidences (D,)."""
        return replace(self, found=replace(self.found, score=scores))

    def ties_broken(self, seed: int) -> EvaluationSet:
        """The same boxes, equal scores put in a random order over all images: each gets a score of its own."""
        found = self.found
        random = np.random.default_rng(seed).permutation(len(found.order))
        rank = np.empty(len(random))
        rank[np.lexsort((random, found.score))] = np.arange(1, len(random) + 1)
        return self.with_scores(rank / max(len(random), 1))


def corners(xywh: Floats) -> Floats:
    """x y width height -> x1 y1 x2 y2, both (N, 4)."""
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def evaluation_set(found: Sequence[Detections], truths: Sequence[Truth]) -> EvaluationSet:
    """From one answer and one truth an image, in the same order. Labels agree after stripping and case folding."""
    if len(found) != len(truths):
        raise ValueError(f"{len(found)} answers for {len(truths)} truths; want one for each")
    numbers: dict[str, int] = {}
    plain: dict[str, int] = {}

    def number(label: str) -> int:
        if label not in plain:
            plain[label] = numbers.setdefault(label.strip().casefold(), len(numbers))
        return plain[label]

    people = [number(label) for truth in truths for label in truth.labels]
    said = [number(label) for one in found for label in one.labels]
    truth = _annotated(truths, people)
    boxes = _xyxy([one.boxes for one in found])
    image = np.repeat(np.arange(len(found)), [len(one.boxes) for one in found])
    scores = np.concatenate([one.scores for one in found]) if found else np.zeros(0)
    label, order = np.array(said, dtype=np.intp), np.arange(len(boxes))
    predicted = Predicted(boxes, _xywh(boxes), image, label, scores.astype(float), order)
    sizes = np.array([[truth.width_px, truth.height_px] for truth in truths], dtype=float).reshape(-1, 2)
    return EvaluationSet(sizes, tuple(numbers), truth, predicted)


def _annotated(truths: Sequence[Truth], people: list[int]) -> Annotated:
    """People first, then ignore regions (of every label: -1), sorted by image."""
    xyxy = _xyxy([truth.boxes for truth in truths] + [truth.ignore for truth in truths])
    xywh = _xywh(xyxy)
    places = np.arange(len(truths))
    counts = [len(truth.boxes) for truth in truths], [len(truth.ignore) for truth in truths]
    image = np.concatenate([np.repeat(places, count) for count in counts]).astype(np.intp)
    regions = sum(counts[1])
    ignore = np.repeat([False, True], [len(people), regions])
    label = np.concatenate([np.array(people, dtype=np.intp), np.full(regions, -1)]).astype(np.intp)
    seen = [np.ones(len(t.boxes)) if t.visible_frac is None else t.visible_frac for t in truths]
    visible = np.concatenate([*seen, np.ones(regions)]).astype(float)
    order = np.argsort(image, kind="stable")
    columns: tuple[Any, ...] = (xyxy, xywh, image, label, ignore, ignore, xywh[:, 2] * xywh[:, 3], visible)
    return Annotated(*(column[order] for column in columns))


def _xyxy(parts: Sequence[Boxes]) -> Floats:
    return np.concatenate(parts).astype(float) if parts else np.zeros((0, 4))


def _xywh(boxes: Floats) -> Floats:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
