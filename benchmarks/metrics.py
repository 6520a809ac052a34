"""Every metric on 5,000 images of a crowd, beside pycocotools' bbox evaluation alone. `python benchmarks/metrics.py`.

25 people and 25 predictions an image, boxes of people at scales that overlap; both sides in this one process.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from components.core.boxes import as_boxes
from components.core.scene import Truth
from components.metrics import PROTOCOLS, tie_shuffles
from components.metrics.coco import coco_results, coco_truth
from components.metrics.detection import Matcher, by_crowd_size, by_height, by_visible
from components.metrics.evaluation_set import Detections, EvaluationSet, evaluation_set

SHUFFLES = 20


def crowd(images: int, people: int, seed: int = 0) -> EvaluationSet:
    """Clusters of people, predictions jittered by some px; a fifth of them miss."""
    random = np.random.default_rng(seed)
    found, truths = [], []
    for _ in range(images):
        centre = random.uniform(100, [1100, 700], (5, 2))[random.integers(0, 5, people)]
        low = centre + random.normal(0, 90, (people, 2))
        height = random.uniform(40, 260, (people, 1))
        boxes = np.concatenate([low, low + np.concatenate([0.41 * height, height], axis=1)], axis=1)
        moved = boxes + random.normal(0, 6, boxes.shape) + 200 * (random.uniform(size=(people, 1)) < 0.2)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 4)
        visible = random.uniform(0.2, 1, people).astype(np.float32)
        labels = ("person",) * people
        truths.append(Truth(as_boxes(boxes), labels, as_boxes([[0, 0, 80, 200]]), 1200, 800, visible))
        found.append(Detections(as_boxes(moved), labels, random.uniform(size=people)))
    return evaluation_set(found, truths)


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def pycocotools(data: EvaluationSet) -> float:
    """Seconds of evaluate and accumulate; loading is not counted."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco: Any = COCO()
        coco.dataset = coco_truth(data)
        coco.createIndex()
        evaluator: Any = COCOeval(coco, coco.loadRes(coco_results(data)), "bbox")
        return seconds(lambda: (evaluator.evaluate(), evaluator.accumulate()))


def parts(data: EvaluationSet) -> None:
    matched = Matcher(data).at(0.5)
    for part in (by_crowd_size, by_height, by_visible):
        part(matched)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--people", type=int, default=25)
    chosen = parser.parse_args()
    data = crowd(chosen.images, chosen.people)
    ours = {name: seconds(lambda protocol=protocol: protocol(data)) for name, protocol in PROTOCOLS.items()}
    ours["by crowd size, height, occlusion"] = seconds(lambda: parts(data))
    total = sum(ours.values())
    shuffles = seconds(lambda: tie_shuffles(data.with_scores(np.ones(len(data.found.order))), SHUFFLES))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    theirs = pycocotools(data)
    print(f"{chosen.images} images x {chosen.people} people x {chosen.people} predictions")
    for name, value in ours.items():
        print(f"  {name:<36}{value:8.2f} s")
    print(f"all of it                             {total:8.2f} s")
    print(f"pycocotools, bbox evaluation alone    {theirs:8.2f} s   {theirs / total:.1f} times as long")
    print(f"{SHUFFLES} tie shuffles                       {shuffles:8.2f} s   peak memory of ours {peak:.0f} MB")


if __name__ == "__main__":
    main()
