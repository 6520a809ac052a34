"""CrowdHuman's and CityPersons' evaluations once more, person by person, as slow as they are plain."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import linear_sum_assignment  # pyright: ignore

from components.metrics.citypersons import Subset
from components.metrics.curves import CALTECH_FPPI
from components.metrics.evaluation_set import EvaluationSet


def overlap(a, b) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


def area(box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def iou(a, b) -> float:
    both = overlap(a, b)
    union = area(a) + area(b) - both
    return both / union if union > 0 else 0.0


def ioa(a, region) -> float:
    return overlap(a, region) / area(a) if area(a) > 0 else 0.0


def clipped(box, size):
    width, height = size
    x1, y1 = min(max(box[0], 0), width - 1), min(max(box[1], 0), height - 1)
    return [x1, y1, min(max(box[2], 0), width), min(max(box[3], 0), height)]


def crowdhuman(data: EvaluationSet) -> dict[str, float]:
    marks, people = [], int((~data.truth.ignore).sum())
    images = [image_of(data, place) for place in range(data.images)]
    for persons, regions, boxes in images:
        taken = [False] * len(persons)
        for score, order, box in sorted(boxes, key=lambda row: (-row[0], row[1])):
            best, who = 0.5, None
            for place, person in enumerate(persons):
                if not taken[place] and iou(box, person) > best:
                    best, who = iou(box, person), place
            if who is not None:
                taken[who] = True
                marks.append((score, order, True))
            elif not any(ioa(box, region) > 0.5 for region in regions):
                marks.append((score, order, False))
    marks.sort(key=lambda row: (-row[0], row[1]))
    right = wrong = 0
    recalls, precisions, fppi = [], [], []
    for _, _, good in marks:
        right, wrong = right + good, wrong + (not good)
        recalls.append(right / people)
        precisions.append(right / (right + wrong))
        fppi.append(wrong / data.images)
    points = zip(range(len(recalls) - 1), range(1, len(recalls)), strict=True)
    ap = sum((recalls[j] - recalls[i]) * (precisions[i] + precisions[j]) / 2 for i, j in points)
    misses = []
    for reference in CALTECH_FPPI:
        place = next((i for i, value in enumerate(fppi) if value >= reference), len(fppi) - 1)
        misses.append(1 - recalls[place] if recalls else 1.0)
    mr = math.exp(sum(math.log(miss) for miss in misses) / 9) if min(misses) > 0 else 0.0
    return {"AP": ap, "MR": mr, "JI": max(jaccard(images, step / 10) for step in range(10))}


def image_of(data: EvaluationSet, place: int):
    truth, found, size = data.truth, data.found, data.size_px[place]
    persons = [clipped(box, size) for box, i, g in zip(truth.xyxy, truth.image, truth.ignore, strict=True)
               if i == place and not g]  # fmt: skip
    regions = [clipped(box, size) for box, i, g in zip(truth.xyxy, truth.image, truth.ignore, strict=True)
               if i == place and g]  # fmt: skip
    boxes = [(score, order, clipped(box, size))
             for score, order, box, i in zip(found.score, found.order, found.xyxy, found.image, strict=True)
             if i == place]  # fmt: skip
    return persons, regions, boxes


def jaccard(images, threshold: float) -> float:
    values = []
    for persons, regions, scored in images:
        boxes = [box for score, _, box in scored if score > threshold]
        gain = np.array([[value if (value := iou(box, person)) > 0.5 else 0.0 for person in persons] for box in boxes])
        rows, columns = linear_sum_assignment(-gain.reshape(len(boxes), len(persons)))
        pairs = [(r, c) for r, c in zip(rows, columns, strict=True) if gain[r, c] > 0]
        left = [box for i, box in enumerate(boxes) if i not in {r for r, _ in pairs}]
        missed = [person for i, person in enumerate(persons) if i not in {c for _, c in pairs}]
        n = len(boxes) - sum(any(ioa(box, region) > 0.5 for region in regions) for box in left)
        m = len(persons) - sum(any(ioa(person, region) > 0.5 for region in regions) for person in missed)
        if m or n:
            values.append(len(pairs) / (m + n - len(pairs)))
    return sum(values) / len(values) if values else 0.0


def citypersons(data: EvaluationSet, subset: Subset) -> float | None:
    """Predictions best first in each image; each looks at the free people, then at the ignore regions."""
    truth, found = data.truth, data.found
    (low, high), (least, most) = subset.heights, subset.visible
    marks, people = [], 0
    for place in range(data.images):
        rows = [i for i in range(len(truth.image)) if truth.image[i] == place]
        out = {
            i: bool(truth.ignore[i]) or not (low <= truth.xywh[i, 3] <= high and least <= truth.visible_frac[i] <= most)
            for i in rows
        }
        people += sum(not value for value in out.values())
        boxes = [i for i in range(len(found.image)) if found.image[i] == place]
        boxes = [i for i in boxes if low / 1.25 <= found.xywh[i, 3] < high * 1.25]
        taken = set()
        for i in sorted(boxes, key=lambda i: (-found.score[i], found.order[i])):
            box, best, who = found.xyxy[i], 0.5, None
            for j in sorted(rows, key=lambda j: out[j]):
                if j in taken or (who is not None and not out[who] and out[j]):
                    continue
                value = ioa(box, truth.xyxy[j]) if out[j] else iou(box, truth.xyxy[j])
                if value >= best:
                    best, who = value, j
            if who is None or not out[who]:
                taken |= {who} - {None}
                marks.append((found.score[i], who is not None))
    marks.sort(key=lambda row: -row[0])
    right = wrong = 0
    recalls, fppi = [], []
    for _, good in marks:
        right, wrong = right + good, wrong + (not good)
        recalls.append(right / people)
        fppi.append(wrong / data.images)
    misses = []
    for reference in CALTECH_FPPI:
        reached = [i for i, value in enumerate(fppi) if value <= reference]
        misses.append(1 - recalls[reached[-1]] if reached else 1.0)
    if not people:
        return None
    return math.exp(sum(math.log(miss) for miss in misses) / 9) if min(misses) > 0 else 0.0
