"""COCO's box numbers, computed by faster-coco-eval; the tests hold it to pycocotools.

COCO drops all but the best `max_dets` boxes of an image: 100 by default, which cuts crowds, so 500 stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from components.metrics.evaluation_set import EvaluationSet, Floats, Indices

MAX_DETS = (1, 10, 100, 500)
AREAS = ("", "s", "m", "l")
AREA_RANGES = ((0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10))
"""px², both ends included, as COCO has them."""
PR_POINTS = 101


def coco_metrics(data: EvaluationSet) -> dict[str, dict[str, float | None]]:
    """`coco` (at most 100 boxes an image) and `coco_500`: AP, AP50, AP75, APs, ..., AR1, ..., ARl.

    None where COCO gives -1 (nothing of that size). Nothing found is a result: 0.
    """
    return coco_tables(data, evaluate(data))


def coco_tables(data: EvaluationSet, evaluated: Any) -> dict[str, dict[str, float | None]]:
    """The same of a set that is evaluated already."""
    return {"coco": _summary(data, evaluated, 100), "coco_500": _summary(data, evaluated, 500)}


def _summary(data: EvaluationSet, evaluated: Any, most: int) -> dict[str, float | None]:
    """The twelve numbers at `most` boxes an image, by COCO's own means over its tables."""
    if evaluated is None:
        return _nothing_found(data, most)
    return {
        name: _mean(_part(evaluated, table, iou, AREAS.index(area), MAX_DETS.index(count)))
        for name, (table, iou, area, count) in _numbers(most).items()
    }


def _numbers(most: int) -> dict[str, tuple[str, int | None, str, int]]:
    """Number -> COCO's table, its IoU (None: all ten), the area, the boxes of an image."""
    return {
        "AP": ("precision", None, "", most),
        "AP50": ("precision", 0, "", most),
        "AP75": ("precision", 5, "", most),
        **{f"AP{area}": ("precision", None, area, most) for area in AREAS if area},
        "AR1": ("recall", None, "", 1),
        "AR10": ("recall", None, "", 10),
        f"AR{most}": ("recall", None, "", most),
        **{f"AR{area}": ("recall", None, area, most) for area in AREAS if area},
    }


def _part(evaluated: Any, table: str, iou: int | None, area: int, count: int) -> Floats:
    values = np.asarray(evaluated.eval[table])[..., area, count]
    return values if iou is None else values[iou]


def resampled(data: EvaluationSet, name: str, most: int) -> Callable[[Indices], float | None]:
    """One number of images drawn so often (I,): COCO matches once, and accumulates anew for each drawing."""
    table, iou, area, count = _numbers(most)[name]
    low, high = AREA_RANGES[AREAS.index(area)]
    evaluator = _evaluator(data)
    if evaluator is None:
        crowd = data.truth.crowd
        there = data.truth.image[~crowd & (data.truth.area >= low) & (data.truth.area <= high)]
        return lambda drawn: 0.0 if drawn[there].any() else None
    evaluator.separate_eval = True
    evaluator.params.maxDets, evaluator.params.areaRng, evaluator.params.areaRngLbl = [count], [[low, high]], [area]
    evaluator.evaluate()
    of_label = np.arange(len(data.labels))[:, None] * data.images
    images: list[Any] = evaluator._evalImgs_cpp  # label after label

    def number(drawn: Indices) -> float | None:
        places = np.repeat(np.arange(data.images), drawn)
        evaluator._evalImgs_cpp = [images[place] for place in (of_label + places).ravel().tolist()]
        evaluator._paramsEval.imgIds = places.tolist()
        evaluator.accumulate()
        return _mean(_part(evaluator, table, iou, 0, 0))

    return number


def _nothing_found(data: EvaluationSet, most: int) -> dict[str, float | None]:
    """0 for each size of which there is somebody to find."""
    areas = data.truth.area[~data.truth.crowd]
    zero = {
        name: 0.0 if ((areas >= low) & (areas <= high)).any() else None
        for name, (low, high) in zip(AREAS, AREA_RANGES, strict=True)
    }
    names = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", f"AR{most}", "ARs", "ARm", "ARl"]
    return {name: zero[name[2:] if name[2:] in AREAS else ""] for name in names}


def _mean(values: Floats) -> float | None:
    known = values[values > -1]
    return float(np.mean(known)) if known.size else None


def precision_recall_curve(evaluated: Any) -> Floats:
    """(101, 2): recall, and COCO's interpolated precision at IoU .5 there, the mean over the truth's labels."""
    recall = np.linspace(0, 1, PR_POINTS)
    if evaluated is None:
        return np.stack([recall, np.zeros(PR_POINTS)], axis=1)
    precision = np.asarray(evaluated.eval["precision"])[0, :, :, 0, MAX_DETS.index(100)]
    known = (precision > -1).any(axis=0)  # COCO gives -1 for a label that no person bears
    mean = precision[:, known].mean(axis=1) if known.any() else np.zeros(PR_POINTS)
    return np.stack([recall, mean], axis=1)


def evaluate(data: EvaluationSet) -> Any:
    """The evaluator after evaluate and accumulate; None where nothing was found."""
    evaluator = _evaluator(data)
    if evaluator is not None:
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator


def _evaluator(data: EvaluationSet) -> Any:
    """faster-coco-eval's, with the set loaded; None where nothing was found: COCO cannot load an empty list."""
    from faster_coco_eval import COCO, COCOeval_faster  # pyright: ignore[reportMissingTypeStubs]

    if not len(data.found.order):
        return None
    truth: Any = COCO(coco_truth(data))
    evaluator: Any = COCOeval_faster(truth, truth.loadRes(coco_results(data)), "bbox", print_function=_silent)
    evaluator.params.maxDets = list(MAX_DETS)
    return evaluator


def coco_truth(data: EvaluationSet) -> dict[str, Any]:
    """A COCO dataset; a region without a label of its own is a crowd annotation of every label.

    Labels that only a model uses are categories too, as loadRes wants. COCO averages over the truth's labels, so AP
    does not see those boxes; precision and F1 count them.
    """
    truth = data.truth
    columns = (c.tolist() for c in (truth.xywh, truth.image, truth.label, truth.crowd, truth.area))
    annotations: list[dict[str, Any]] = []
    for box, image, label, crowd, area in zip(*columns, strict=True):
        for category in range(len(data.labels)) if label < 0 else (label,):
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": category, "bbox": box, "area": area,
                 "iscrowd": int(crowd)}
            )  # fmt: skip
    images = [{"id": i, "width": width, "height": height} for i, (width, height) in enumerate(data.size_px.tolist())]
    categories = [{"id": number, "name": label} for number, label in enumerate(data.labels)]
    return {"images": images, "annotations": annotations, "categories": categories}


def coco_results(data: EvaluationSet) -> list[dict[str, Any]]:
    """COCO results, by image and then in the given order, which decides ties."""
    found = data.found
    order = np.lexsort((found.order, found.image))
    columns = (column[order].tolist() for column in (found.image, found.label, found.xywh, found.score))
    return [
        {"image_id": image, "category_id": label, "bbox": box, "score": score}
        for image, label, box, score in zip(*columns, strict=True)
    ]


def _silent(*_: object) -> None:
    """faster-coco-eval prints its table otherwise."""
