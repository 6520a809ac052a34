"""Precision, recall and F1 of answers without confidences: pooled over images, optimal matching.

An unreadable answer counts as no boxes. Unmatched predictions in ignore regions are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from components.core.matching import IGNORE_IOA
from components.metrics.evaluation_set import EvaluationSet, Flags, Floats, Indices
from components.metrics.pairs import covered, ious, match_best, overlapping

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
CROWD_EDGES = (0, 1, 2, 4, 8, 16, 32, 64)
HEIGHT_EDGES_PX = (0, 16, 32, 64, 128, 256, 512)
VISIBLE_EDGES = (0, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """Matches, counted predictions and people of one image at one IoU."""

    matched: int
    predicted: int
    truth: int
    iou_sum: float


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Who was found at one IoU. For each prediction (D,): the person it found, -1 for none, the IoU, whether it counts.

    person (T,): the annotations that are people; seen (T,): who was found.
    """

    data: EvaluationSet
    partner: Indices
    iou: Floats
    counted: Flags
    person: Flags
    seen: Flags


class Matcher:
    """The candidate pairs of a set, matched at any IoU."""

    def __init__(self, data: EvaluationSet) -> None:
        truth, found = data.truth, data.found
        self.data, self.person = data, ~truth.ignore
        boxes, people = found.xyxy, truth.xyxy
        pairs = overlapping(boxes, found.image, people, truth.image)
        kept = np.flatnonzero(self.person[pairs.b] & (found.label[pairs.a] == truth.label[pairs.b]))
        self.a, self.b, self.ious = pairs.a[kept], pairs.b[kept], ious(pairs, boxes, people)[kept]
        regions = np.flatnonzero(truth.ignore)
        self.in_ignore = covered(boxes, found.image, people[regions], truth.image[regions], IGNORE_IOA)

    def at(self, min_iou: float) -> Matched:
        """One-to-one pairs of the largest total IoU among those with IoU >= min_iou."""
        places = np.flatnonzero(self.ious >= min_iou)
        predictions, annotations = len(self.data.found.order), len(self.data.truth.image)
        places = places[match_best(self.a[places], self.b[places], self.ious[places], (predictions, annotations))]
        partner, iou, seen = np.full(predictions, -1), np.zeros(predictions), np.zeros(annotations, dtype=bool)
        partner[self.a[places]], iou[self.a[places]], seen[self.b[places]] = self.b[places], self.ious[places], True
        return Matched(self.data, partner, iou, (partner >= 0) | ~self.in_ignore, self.person, seen)


def image_counts(matched: Matched) -> list[ImageCounts]:
    """Each image's part of the pooled numbers."""
    data, images = matched.data, matched.data.images
    image, hit = data.found.image, matched.partner >= 0
    columns = (
        np.bincount(image[hit], minlength=images).tolist(),
        np.bincount(image[matched.counted], minlength=images).tolist(),
        np.bincount(data.truth.image[matched.person], minlength=images).tolist(),
        np.bincount(image, weights=matched.iou, minlength=images).tolist(),
    )
    return [ImageCounts(*row) for row in zip(*columns, strict=True)]


def detection_metrics(data: EvaluationSet, min_iou: float = 0.5) -> dict[str, float | None]:
    """precision, recall, f1 at `min_iou`, mean_f1 over .5:.95, mean_iou of the matched, count errors."""
    matcher = Matcher(data)
    return detection_numbers(image_counts(matcher.at(min_iou)), f1_by_iou(matcher))


def detection_numbers(counts: Sequence[ImageCounts], by_iou: Mapping[float, float | None]) -> dict[str, float | None]:
    """The same of a set that is matched already; by_iou: f1_by_iou's."""
    values = [value for value in by_iou.values() if value is not None]
    return pooled(counts) | {"mean_f1": float(np.mean(values)) if values else None} | count_errors(counts)


def pooled(counts: Sequence[ImageCounts]) -> dict[str, float | None]:
    """precision, recall, f1 over all images together; None where nothing is there to divide by."""
    return _ratios(*(sum(getattr(count, name) for count in counts) for name in ("matched", "predicted", "truth")))


def _ratios(matched: int, predicted: int, truth: int) -> dict[str, float | None]:
    return {
        "precision": matched / predicted if predicted else None,
        "recall": matched / truth if truth else None,
        "f1": f1(matched, predicted, truth),
    }


def f1(matched: int, predicted: int, truth: int) -> float | None:
    """2 TP / (predicted + truth), None where both are empty."""
    return 2 * matched / (predicted + truth) if predicted + truth else None


def count_errors(counts: Sequence[ImageCounts]) -> dict[str, float | None]:
    """How far the number of boxes is from the number of people: count_mae, count_rmse, the share within 10 %."""
    return _errors(np.array([count.predicted for count in counts]), np.array([count.truth for count in counts]))


def _errors(predicted: Indices, people: Indices) -> dict[str, float | None]:
    if not len(people):
        return {"count_mae": None, "count_rmse": None, "count_within_10_percent": None}
    error = np.abs(predicted - people.astype(float))
    return {
        "count_mae": float(error.mean()),
        "count_rmse": float(np.sqrt((error**2).mean())),
        "count_within_10_percent": float((error <= 0.1 * people).mean()),
    }


def f1_by_iou(matcher: Matcher) -> dict[float, float | None]:
    """Pooled F1 at each IoU from .5 to .95."""
    return {threshold: pooled(image_counts(matcher.at(threshold)))["f1"] for threshold in IOU_THRESHOLDS}


Part = dict[str, float | int | None]


def by_crowd_size(matched: Matched) -> list[Part]:
    """precision, recall, f1 of the images with so many people: `from` (the bin's lower edge), `images`, `people`."""
    counts = image_counts(matched)
    places = np.digitize([count.truth for count in counts], CROWD_EDGES) - 1
    parts: list[Part] = []
    for place, edge in enumerate(CROWD_EDGES):
        group = [count for count, own in zip(counts, places, strict=True) if own == place]
        if group:
            parts.append({"from": edge, "images": len(group), "people": sum(c.truth for c in group)} | pooled(group))
    return parts


def by_height(matched: Matched) -> list[Part]:
    """recall of people so high, precision of boxes so high, their f1, in px of the image."""
    data = matched.data
    own = np.digitize(data.truth.xywh[:, 3], HEIGHT_EDGES_PX) - 1
    said = np.digitize(data.found.xywh[:, 3], HEIGHT_EDGES_PX) - 1
    parts: list[Part] = []
    for place, edge in enumerate(HEIGHT_EDGES_PX):
        person, box = matched.person & (own == place), matched.counted & (said == place)
        recall = _share(matched.seen[person])
        precision = _share(matched.partner[box] >= 0)
        if person.any() or box.any():
            both = None if recall is None or precision is None else _harmonic(precision, recall)
            parts.append(
                {"from": edge, "people": int(person.sum()), "boxes": int(box.sum()), "precision": precision,
                 "recall": recall, "f1": both}
            )  # fmt: skip
    return parts


def by_visible(matched: Matched) -> list[Part]:
    """recall of people of whom such a share is seen. A false box has no occlusion, so there is no precision here."""
    own = np.digitize(matched.data.truth.visible_frac, VISIBLE_EDGES) - 1
    parts: list[Part] = []
    for place, edge in enumerate(VISIBLE_EDGES):
        person = matched.person & (own == place)
        if person.any():
            parts.append({"from": edge, "people": int(person.sum()), "recall": _share(matched.seen[person])})
    return parts


def _share(flags: Flags) -> float | None:
    return float(flags.mean()) if flags.size else None


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def f1_interval(counts: Sequence[ImageCounts], samples: int, seed: int) -> tuple[float, float] | None:
    """95 % bootstrap interval of pooled F1: images are drawn again, then pooled again."""
    values = drawn_f1([counts], samples, seed)[0]
    return None if values is None else _percentiles(values)


def f1_gain_interval(
    before: Sequence[Sequence[ImageCounts]], after: Sequence[Sequence[ImageCounts]], samples: int, seed: int
) -> tuple[float, float] | None:
    """95 % paired bootstrap interval of the mean of F1(after) - F1(before) over training seeds.

    before, after: for each seed the counts of the same images in the same order; images are drawn again
    once for all. Narrower than two single intervals suggest, since hard images are hard for both. The
    seeds are not drawn again: three are too few for that. Raises ValueError where the numbers differ.
    """
    sizes = {len(counts) for counts in [*before, *after]}
    if len(before) != len(after) or len(sizes) > 1:
        raise ValueError(
            f"{len(before)} seeds before, {len(after)} after, with {sorted(sizes)} images: want the same images of the "
            "same seeds in the same order"
        )
    drawn_before, drawn_after = drawn_f1(before, samples, seed), drawn_f1(after, samples, seed)
    gains = [a - b for a, b in zip(drawn_after, drawn_before, strict=True) if a is not None and b is not None]
    return _percentiles(np.stack(gains).mean(axis=0)) if gains and len(gains) == len(before) else None


def drawn_f1(models: Sequence[Sequence[ImageCounts]], samples: int, seed: int) -> list[Floats | None]:
    """(samples,) pooled F1 of each model, on the same drawings of images; None where undefined."""
    images = len(models[0]) if models else 0
    if not samples or not images:
        return [None] * len(models)
    weights = drawings(images, samples, seed)
    drawn: list[Floats | None] = []
    for counts in models:
        table = np.array([[count.matched, count.predicted + count.truth] for count in counts], dtype=np.float64)
        sums = weights @ table  # (samples, 2)
        drawn.append(2 * sums[:, 0] / np.maximum(sums[:, 1], 1) if table[:, 1].any() else None)
    return drawn


def drawings(images: int, samples: int, seed: int) -> Indices:
    """(samples, I): how often each image is in each bootstrap drawing."""
    return np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=samples)


def resampled_counts(counts: Sequence[ImageCounts]) -> Callable[[Indices], dict[str, float | None]]:
    """`pooled` and `count_errors` of images drawn so often (I,)."""
    table = np.array([[count.matched, count.predicted, count.truth] for count in counts]).reshape(-1, 3)

    def numbers(drawn: Indices) -> dict[str, float | None]:
        return _ratios(*(drawn @ table).tolist()) | _errors(*np.repeat(table[:, 1:], drawn, axis=0).T)

    return numbers


def resampled_mean_f1(data: EvaluationSet) -> Callable[[Indices], float | None]:
    """mean_f1 of images drawn so often (I,)."""
    matcher = Matcher(data)
    by_iou = [resampled_counts(image_counts(matcher.at(threshold))) for threshold in IOU_THRESHOLDS]

    def number(drawn: Indices) -> float | None:
        values = [value for numbers in by_iou if (value := numbers(drawn)["f1"]) is not None]
        return float(np.mean(values)) if values else None

    return number


def _percentiles(values: Floats) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
