"""The accuracy reward: weighted precision and recall over one-to-one matches."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from components.core.boxes import as_boxes, clip
from components.core.completion import Answer
from components.core.matching import Matches, candidate_ious, counted_predictions, match_greedy, match_optimal
from components.core.scene import Truth
from components.rewards.reward import Reward, per_answer


class PrecisionRecallSettings(Protocol):
    """The section rewards.precision_recall of params.yaml."""

    @property
    def tau(self) -> float: ...
    @property
    def precision_weight(self) -> float: ...
    @property
    def mean(self) -> str: ...
    @property
    def quality(self) -> str: ...
    @property
    def matching(self) -> str: ...


def make(settings: PrecisionRecallSettings) -> Reward:
    """The reward of a group: float32 (G,) in [0, 1].

    An empty answer scores 0 unless the scene is empty too: otherwise silence would collect
    the precision term for free. A ParseFailure scores 0.
    Source: DIP-R1, arXiv:2505.23179; formula and empty-answer rule are ours (docs/decisions/0012).
    """

    return per_answer(Answer, Truth, lambda answer, truth: _score(answer, truth, settings))


@lru_cache(maxsize=128)  # the looking reward by instances asks for the same matches of the same group
def match(answer: Answer, truth: Truth, settings: PrecisionRecallSettings) -> Matches:
    """The pairs that count: optimal by total IoU, by number of pairs first where a hit is a hit, or greedy."""
    truth_boxes = clip(truth.boxes, truth.width_px, truth.height_px)
    ious = candidate_ious(answer.boxes, answer.labels, truth_boxes, truth.labels)
    if settings.matching == "greedy":
        return match_greedy(ious, settings.tau)
    return match_optimal(ious, settings.tau, most_pairs=settings.quality == "hit")


def _score(answer: Answer, truth: Truth, settings: PrecisionRecallSettings) -> float:
    matches = match(answer, truth, settings)
    predicted = int(counted_predictions(answer.boxes, matches, as_boxes(truth.ignore)).sum())
    people = len(truth.boxes)
    if people == 0 or predicted == 0:
        return float(people == predicted)
    quality = float(matches.iou.sum()) if settings.quality == "iou" else float(len(matches))
    weight = settings.precision_weight
    if settings.mean == "harmonic":
        return quality / (weight * predicted + (1 - weight) * people)
    return weight * quality / predicted + (1 - weight) * quality / people
