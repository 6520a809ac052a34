"""COCO's box numbers, computed by faster-coco-eval; the tests hold it to pycocotools.

COCO drops all but the best `max_dets` boxes of an image: 100 by default, which cuts crowds, so 500 stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import Boxes
from components.core.scene import Truth
from components.metrics.detection import Detections

NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR{most}", "ARs", "ARm", "ARl")
PR_POINTS = 101


def coco_metrics(
    detections: Sequence[Detections], truths: Sequence[Truth], max_dets: int = 100
) -> dict[str, float | None]:
    """AP, AP50, ... AR1, AR10, AR<max_dets>; None where COCO gives -1 (nothing of that size)."""
    names = [name.format(most=max_dets) for name in NAMES]
    if not any(len(one.boxes) for one in detections):
        # pycocotools cannot load an empty list of results; nothing found is a result: 0
        people = any(len(truth.boxes) for truth in truths)
        return dict.fromkeys(names, 0.0 if people else None)
    stats = evaluate(detections, truths, max_dets).stats
    return {name: None if value < 0 else float(value) for name, value in zip(names, stats[: len(names)], strict=True)}


def precision_recall_curve(detections: Sequence[Detections], truths: Sequence[Truth]) -> NDArray[np.float64]:
    """(101, 2): recall, and COCO's interpolated precision at IoU .5 there, the mean over the truth's labels."""
    recall = np.linspace(0, 1, PR_POINTS)
    if not any(len(one.boxes) for one in detections):
        return np.stack([recall, np.zeros(PR_POINTS)], axis=1)
    precision = np.asarray(evaluate(detections, truths, 100).eval["precision"])[0, :, :, 0, -1]
    known = (precision > -1).any(axis=0)  # COCO gives -1 for a label that no person bears
    mean = precision[:, known].mean(axis=1) if known.any() else np.zeros(PR_POINTS)
    return np.stack([recall, mean], axis=1)


def evaluate(detections: Sequence[Detections], truths: Sequence[Truth], max_dets: int) -> Any:
    """The evaluator after evaluate, accumulate and summarize."""
    from faster_coco_eval import COCO, COCOeval_faster  # pyright: ignore[reportMissingTypeStubs]

    labels = category_ids(truths, detections)
    truth: Any = COCO(coco_truth(truths, labels))
    results = truth.loadRes(coco_results(detections, labels))
    evaluator: Any = COCOeval_faster(truth, results, "bbox", print_function=_silent)
    evaluator.params.maxDets = [1, 10, max_dets]
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return evaluator


def category_ids(truths: Sequence[Truth], detections: Sequence[Detections]) -> dict[str, int]:
    """label -> id from 1; labels that only a model uses get one too, as loadRes wants.

    COCO averages over the truth's labels, so AP does not see these boxes; precision and F1 count them.
    """
    found = {_label(label) for one in [*truths, *detections] for label in one.labels}
    return {label: number for number, label in enumerate(sorted(found), start=1)}


def coco_truth(truths: Sequence[Truth], labels: dict[str, int]) -> dict[str, Any]:
    """A COCO dataset; an ignore region is a crowd annotation of every label."""
    annotations: list[dict[str, Any]] = []
    for image, truth in enumerate(truths, start=1):
        people = [(box, labels[_label(label)], 0) for box, label in zip(truth.boxes, truth.labels, strict=True)]
        regions = [(box, label, 1) for box in truth.ignore for label in labels.values()]
        for box, label, crowd in people + regions:
            x, y, width, height = _xywh(box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": label,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": crowd,
                }
            )
    images = [{"id": i, "width": t.width_px, "height": t.height_px} for i, t in enumerate(truths, start=1)]
    categories = [{"id": number, "name": label} for label, number in labels.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def coco_results(detections: Sequence[Detections], labels: dict[str, int]) -> list[dict[str, Any]]:
    """COCO results, in the order of the images and of each answer: that order decides ties."""
    return [
        {"image_id": image, "category_id": labels[_label(label)], "bbox": _xywh(box), "score": float(score)}
        for image, one in enumerate(detections, start=1)
        for box, label, score in zip(one.boxes, one.labels, one.scores, strict=True)
    ]


def _xywh(box: Boxes) -> list[float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return [x1, y1, x2 - x1, y2 - y1]


def _label(label: str) -> str:
    return label.strip().casefold()


def _silent(*_: object) -> None:
    """faster-coco-eval prints its table otherwise."""
