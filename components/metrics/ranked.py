"""Detection's numbers: boxes pooled, by the protocols, under each confidence, of each dataset, and the curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from components.core.metrics_json import BoxTables, DatasetTables, DetectionTable, Numbers
from components.core.scene import Truth
from components.errors import DataError
from components.metrics.citypersons import citypersons_metrics
from components.metrics.coco import coco_metrics, coco_tables, evaluate, precision_recall_curve
from components.metrics.confidence import calibration_error, reliability
from components.metrics.crowdhuman import CrowdView, crowdhuman_metrics
from components.metrics.detection import (
    ImageCounts,
    Matched,
    Matcher,
    by_crowd_size,
    by_height,
    by_visible,
    detection_numbers,
    f1_by_iou,
    f1_interval,
    image_counts,
    pooled,
)
from components.metrics.evaluation_set import EvaluationSet, Floats, evaluation_set
from components.metrics.protocols import tie_shuffles
from components.metrics.task import Judged, ScoreSettings, Table, TaskNumbers

BY_CONFIDENCE = ("coco_AP", "coco_AP50", "crowdhuman_AP", "crowdhuman_MR", "calibration_error")
"""What depends on how boxes are ranked; all None under a confidence that is not known of every box."""
CONVENTIONS = {
    "lookout": "strict grammar: an unreadable answer counts as no boxes; greedy; every image counts",
    "perception-r1": "as Perception-R1 (arXiv:2504.07954) evaluates in public: every box scores 1, ties in the order "
    "of generation, any list of boxes in the text is taken, greedy, every image counts. It differs from `lookout` in "
    "these three; use that paper's kind of prompt for a like comparison",
}


def ranked_numbers(images: Sequence[Judged], params: ScoreSettings) -> TaskNumbers:
    """One of `images` is all that was said of an image. Raises DataError where the confidence is not there."""
    unknown = _unknown(images)
    ranked = [name for name, boxes in unknown.items() if not boxes]
    if params.confidence not in unknown:
        raise DataError(
            f"score.confidence is {params.confidence}, but the predictions have {', '.join(unknown) or 'no images'}; "
            "set predict.samples above 0"
        )
    if params.confidence not in ranked:
        raise DataError(
            f"score.confidence is {params.confidence}, but {unknown[params.confidence]} boxes have none: the tokens of "
            f"their answers cannot be told from the text; set score.confidence to one of {', '.join(ranked)}"
        )
    data = _set(images, params.confidence)
    matcher = Matcher(data)
    matched, by_iou = matcher.at(params.min_iou), f1_by_iou(matcher)
    counts, evaluated, crowd = image_counts(matched), evaluate(data), CrowdView(data)
    coco, constant = coco_tables(data, evaluated), data.with_scores(np.ones(len(data.found.order)))
    metrics: BoxTables = {
        "confidence": params.confidence,
        "convention": params.convention,
        "convention_means": CONVENTIONS[params.convention],
        "coco": coco["coco"],
        "coco_500": coco["coco_500"],
        "crowdhuman": crowd.metrics(data.found.score),
        "citypersons": citypersons_metrics(data),
        "detection": _detection(counts, by_iou, params),
        "salvaged": pooled(image_counts(Matcher(_set(images, params.confidence, rescued=True)).at(params.min_iou))),
        "confidences": {
            name: _ranked(data, crowd, images, matched, name) if name in ranked else dict.fromkeys(BY_CONFIDENCE)
            for name in unknown
        },
        "tie_shuffles": {**tie_shuffles(constant, params.tie_shuffles), "seeds": params.tie_shuffles},
        "datasets": {
            source: _dataset([image for image in images if image.source == source], params)
            for source in dict.fromkeys(image.source for image in images)
        },
    }
    plots = _plots(precision_recall_curve(evaluated), by_iou, images, matched, ranked)
    return TaskNumbers(pooled(counts), counts, plots=plots, beside=metrics)


def _unknown(images: Sequence[Judged]) -> dict[str, int]:
    """How many boxes each confidence says nothing about, those of rescued answers too."""
    names = images[0].found.scores if images else {}
    return {name: sum(int(np.isnan(image.rescued.scores[name]).sum()) for image in images) for name in names}


def _set(images: Sequence[Judged], confidence: str, rescued: bool = False) -> EvaluationSet:
    found = [(image.rescued if rescued else image.found).by(confidence) for image in images]
    return evaluation_set(found, [image.truth for image in images if isinstance(image.truth, Truth)])


def _scores(images: Sequence[Judged], confidence: str) -> Floats:
    return np.concatenate([image.found.scores[confidence] for image in images])


def _ranked(data: EvaluationSet, crowd: CrowdView, images: Sequence[Judged], matched: Matched, name: str) -> Numbers:
    """What depends on the ranking, under one confidence; how well it says how sure one may be."""
    scores = _scores(images, name)
    coco, people = coco_metrics(data.with_scores(scores))["coco"], crowd.metrics(scores)
    calibration = calibration_error(scores[matched.counted], matched.partner[matched.counted] >= 0)
    return dict(zip(BY_CONFIDENCE, (coco["AP"], coco["AP50"], people["AP"], people["MR"], calibration), strict=True))


def _dataset(images: Sequence[Judged], params: ScoreSettings) -> DatasetTables:
    data = _set(images, params.confidence)
    matcher = Matcher(data)
    counts = image_counts(matcher.at(params.min_iou))
    coco = coco_metrics(data)["coco"]
    return {
        "images": len(images),
        "detection": _detection(counts, f1_by_iou(matcher), params),
        "coco": {name: coco[name] for name in ("AP", "AP50", "AR100")},
        "crowdhuman": crowdhuman_metrics(data),
    }


def _detection(
    counts: Sequence[ImageCounts], by_iou: Mapping[float, float | None], params: ScoreSettings
) -> DetectionTable:
    numbers = detection_numbers(counts, by_iou)
    interval = f1_interval(counts, params.bootstrap_samples, params.seed)
    return {
        "precision": numbers["precision"],
        "recall": numbers["recall"],
        "f1": numbers["f1"],
        "mean_f1": numbers["mean_f1"],
        "count_mae": numbers["count_mae"],
        "count_rmse": numbers["count_rmse"],
        "count_within_10_percent": numbers["count_within_10_percent"],
        "f1_interval": list(interval) if interval else None,
    }


def _plots(
    curve: Floats,
    by_iou: Mapping[float, float | None],
    images: Sequence[Judged],
    matched: Matched,
    ranked: Sequence[str],
) -> dict[str, Table]:
    counted, right = matched.counted, matched.partner[matched.counted] >= 0
    return {
        "f1_by_iou": [{"iou": iou, "f1": value} for iou, value in by_iou.items()],
        "pr_curve": [{"recall": recall, "precision": precision} for recall, precision in curve.round(6).tolist()],
        "by_crowd_size": by_crowd_size(matched),
        "by_height": by_height(matched),
        "by_visible": by_visible(matched),
        "reliability": [
            {"of": name} | one
            for name in ranked
            if name != "constant"
            for one in reliability(_scores(images, name)[counted], right)
        ],
    }
