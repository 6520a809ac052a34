"""Detection as Perception-R1 rewards it: F1, overlap and class of matched boxes, each damped by what is missing."""

from __future__ import annotations

from typing import Protocol

from components.core.boxes import as_boxes, clip, iou
from components.core.completion import Answer
from components.core.matching import counted_predictions, match_optimal, same_labels
from components.core.scene import Truth
from components.rewards.reward import Reward, per_answer

MIN_IOU = 0.5


class PerceptionR1Settings(Protocol):
    """The section rewards.perception_r1 of params.yaml: weights of the three terms."""

    @property
    def f1(self) -> float: ...
    @property
    def iou(self) -> float: ...
    @property
    def label(self) -> float: ...


def make(settings: PerceptionR1Settings) -> Reward:
    """Weighted mean of F1, recall x mean matched IoU, recall x share of matched pairs of equal label: in [0, 1].

    Boxes are matched by place alone, at IoU >= .5. The factor recall is the paper's missing term: without it one
    perfect box of twenty pays as much as an honest attempt. Nobody there and nobody found 1, one of the two 0.
    Source: Perception-R1, arXiv:2504.07954; the bounds and the empty-answer rule are ours (docs/decisions/0018).
    """
    total = settings.f1 + settings.iou + settings.label

    def score(answer: Answer, truth: Truth) -> float:
        true = clip(truth.boxes, truth.width_px, truth.height_px)
        matches = match_optimal(iou(answer.boxes, true), MIN_IOU)
        predicted = int(counted_predictions(answer.boxes, matches, as_boxes(truth.ignore)).sum())
        if predicted == 0 or len(true) == 0:
            return float(predicted == len(true))
        if not len(matches):
            return 0.0
        recall = len(matches) / len(true)
        equal = same_labels(answer.labels, truth.labels)[matches.predicted, matches.truth]
        terms = settings.f1 * 2 * len(matches) / (predicted + len(true))
        terms += settings.iou * recall * float(matches.iou.mean()) + settings.label * recall * float(equal.mean())
        return terms / total

    return per_answer(Answer, Truth, score)
