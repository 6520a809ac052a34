"""The gold completion of a scene: what SFT teaches. Think, look at the crowded clusters, answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import Boxes, as_boxes, iou
from components.core.completion import render
from components.core.frames import ImageView
from components.core.scene import Truth
from components.core.words import Thinking


def gold_completion(truth: Truth, view: ImageView, look_iou: float, thinking: Thinking = "look") -> str:
    """The text that answers a scene perfectly, people from left to right.

    Look boxes: one around each cluster of people who overlap by more than `look_iou`.
    """
    order = reading_order(truth.boxes)
    boxes = as_boxes(truth.boxes[order])
    clusters = crowded_clusters(boxes, look_iou)
    overlapping = sum(len(cluster) for cluster in clusters)
    look = as_boxes([_around(as_boxes(boxes[cluster])) for cluster in clusters])
    think = f"I see {len(boxes)}; {overlapping} overlap."
    return render(think, look, boxes, [truth.labels[int(i)] for i in order], view, thinking)


def reading_order(boxes: Boxes) -> NDArray[np.intp]:
    """(N,): from left to right, then from top to bottom: one order for one scene, so that it can be learned."""
    return np.lexsort((boxes[:, 1], boxes[:, 0]))


def crowded_clusters(boxes: Boxes, min_iou: float) -> list[list[int]]:
    """Indices of people joined by pairs of IoU > min_iou; nobody who stands alone; ordered by their first index."""
    joined = iou(boxes, boxes) > min_iou
    left = set(range(len(boxes)))
    clusters: list[list[int]] = []
    for start in range(len(boxes)):
        if start not in left:
            continue
        left.discard(start)
        cluster, waiting = [start], [start]
        while waiting:
            near = set(np.flatnonzero(joined[waiting.pop()]).tolist()) & left
            left -= near
            cluster += near
            waiting += near
        if len(cluster) > 1:
            clusters.append(sorted(cluster))
    return clusters


def _around(boxes: Boxes) -> list[float]:
    sides = [boxes[:, 0].min(), boxes[:, 1].min(), boxes[:, 2].max(), boxes[:, 3].max()]
    return [float(side) for side in sides]
