"""What does every metric on 5,000 images of a crowd cost, beside pycocotools' bbox evaluation alone?

25 people and 25 predictions an image, boxes of people at scales that overlap; both sides in this one process, taking
turns. `python -m benchmarks.metrics` prints one table.
"""

from __future__ import annotations

import contextlib
import io
import resource
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measuring import REPEATS, Cell, Form, Table, medians, run_script
from components.core.boxes import as_boxes
from components.core.scene import Truth
from components.metrics.coco import coco_results, coco_truth
from components.metrics.detection import Matcher, by_crowd_size, by_height, by_visible
from components.metrics.evaluation_set import Detections, EvaluationSet, evaluation_set
from components.metrics.protocols import PROTOCOLS, tie_shuffles

PEOPLE = 25
SIZES: dict[Form, tuple[int, int]] = {"full": (5000, 20), "quick": (1000, 4), "smoke": (20, 1)}
"""Images, and random orders among equal scores."""


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


def pycocotools(data: EvaluationSet) -> Callable[[], Any]:
    """Its evaluate and accumulate; loading is done here and not counted."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco: Any = COCO()
        coco.dataset = coco_truth(data)
        coco.createIndex()
        found = coco.loadRes(coco_results(data))

    def evaluate() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluator: Any = COCOeval(coco, found, "bbox")
            evaluator.evaluate()
            evaluator.accumulate()

    return evaluate


def parts(data: EvaluationSet) -> None:
    matched = Matcher(data).at(0.5)
    for part in (by_crowd_size, by_height, by_visible):
        part(matched)


def tables(form: Form) -> list[Table]:
    images, shuffles = SIZES[form]
    data = crowd(images, PEOPLE)
    ours: dict[str, Callable[[], Any]] = {
        name: lambda protocol=protocol: protocol(data) for name, protocol in PROTOCOLS.items()
    }
    ours["by crowd size, height, occlusion"] = lambda: parts(data)
    constant = data.with_scores(np.ones(len(data.found.order)))
    orders = f"{shuffles} random orders of equal scores"
    medians(ours, 1)  # before the peer comes, for the peak
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sides = ours | {orders: lambda: tie_shuffles(constant, shuffles), "peer": pycocotools(data)}
    took = medians(sides, REPEATS[form])
    peer, total = took["peer"], sum(took[name] for name in ours)
    rows: list[tuple[Cell, ...]] = [
        (name, took[name], *((peer, peer / took[name]) if name == "coco" else (None, None))) for name in ours
    ]
    rows.append(("all of it", total, peer, peer / total))
    rows.append((orders, took[orders], shuffles * peer, shuffles * peer / took[orders]))
    columns = ("what", "ours, s", "pycocotools, s", "pycocotools / ours")
    note = (
        f"{images:,} images x {PEOPLE} people x {PEOPLE} predictions. pycocotools: evaluate and accumulate at 100 "
        f"boxes, loading not counted; for the random orders its one evaluation times {shuffles}. "
        f"Peak memory of ours {peak:,.0f} MB."
    )
    return [Table("Every metric", columns, tuple(rows), note)]


if __name__ == "__main__":
    run_script(tables, __doc__)
