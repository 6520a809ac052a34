"""The variance-guided looking reward: look where the group's own answers disagree.

Source of the idea: DIP-R1, arXiv:2505.23179. Both readings are ours (docs/decisions/0011).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import Boxes
from components.core.completion import Answer
from components.core.coverage import Maps, coverages, soft_dice
from components.core.grammars import AnyParsed
from components.core.scene import AnyTruth, Truth
from components.rewards.precision_recall import PrecisionRecallSettings, match
from components.rewards.reward import Reward

MIN_PARSED = 3
MIN_DISAGREEMENT = 0.1
"""Below this nobody disagrees anywhere: paying for an empty look would make a collapse look like success."""


class LookingSettings(Protocol):
    """The section rewards.looking of params.yaml."""

    @property
    def grid(self) -> int: ...


def make(settings: LookingSettings) -> Reward:
    """Soft Dice between a completion's look boxes and where the OTHER completions disagree: float32 (G,).

    Not scored (NaN) for the whole group where fewer than three parsed, or nobody disagrees.
    A ParseFailure scores 0.
    """

    def reward(group: Sequence[AnyParsed], truth: AnyTruth) -> NDArray[np.float32]:
        scores = np.zeros(len(group), dtype=np.float32)
        if not isinstance(truth, Truth):
            return np.full(len(group), np.nan, dtype=np.float32)
        parsed = [i for i, answer in enumerate(group) if isinstance(answer, Answer)]
        if len(parsed) < MIN_PARSED:
            return np.full(len(group), np.nan, dtype=np.float32)
        answers = [answer for answer in group if isinstance(answer, Answer)]
        size = (truth.width_px, truth.height_px, settings.grid)
        disagreement = _others_disagreement(coverages([answer.boxes for answer in answers], *size))
        if disagreement.max() < MIN_DISAGREEMENT:
            return np.full(len(group), np.nan, dtype=np.float32)
        looks = np.minimum(1.0, coverages([answer.look for answer in answers], *size))
        scores[parsed] = soft_dice(looks, disagreement)
        return scores

    return reward


def _others_disagreement(counts: Maps) -> Maps:
    """(K, grid, grid): min(1, 4 x population variance of the counts of all but completion i).

    Differences are taken from the group's mean first: E[x^2] - E[x]^2 of raw counts would lose digits.
    """
    others = len(counts) - 1
    centred = counts - counts.mean(axis=0)
    mean = (centred.sum(axis=0) - centred) / others
    square = ((centred**2).sum(axis=0) - centred**2) / others
    return np.minimum(1.0, 4 * np.clip(square - mean**2, 0, None))


def make_instances(settings: object, matching: PrecisionRecallSettings) -> Reward:
    """The second reading: look at the people whom only part of the group found.

    v_j = 4 p_j (1 - p_j), p_j = share of the parsed completions that match person j;
    reward = 2 x sum of v over the people looked at / (their number + sum of all v), float32 (G,).
    Not scored (NaN) for the whole group where fewer than two parsed or every v_j is 0.
    """
    del settings

    def reward(group: Sequence[AnyParsed], truth: AnyTruth) -> NDArray[np.float32]:
        if not isinstance(truth, Truth):
            return np.full(len(group), np.nan, dtype=np.float32)
        parsed = [i for i, answer in enumerate(group) if isinstance(answer, Answer)]
        doubt = _doubt([answer for answer in group if isinstance(answer, Answer)], truth, matching)
        if len(parsed) < 2 or not doubt.any():
            return np.full(len(group), np.nan, dtype=np.float32)
        scores = np.zeros(len(group), dtype=np.float32)
        for i in parsed:
            answer = group[i]
            if isinstance(answer, Answer):
                seen = _looked_at(answer.look, truth)
                scores[i] = 2 * doubt[seen].sum() / (seen.sum() + doubt.sum())
        return scores

    return reward


def _doubt(answers: Sequence[Answer], truth: Truth, matching: PrecisionRecallSettings) -> NDArray[np.float64]:
    """(T,): 4 p (1 - p) of each person."""
    found = np.zeros(len(truth.boxes))
    for answer in answers:
        found[match(answer, truth, matching).truth] += 1
    share = found / max(1, len(answers))
    return 4 * share * (1 - share)


def _looked_at(look: Boxes, truth: Truth) -> NDArray[np.bool_]:
    """(T,): True where a person's box centre lies in a look box, borders included."""
    x = (truth.boxes[:, 0] + truth.boxes[:, 2]) / 2
    y = (truth.boxes[:, 1] + truth.boxes[:, 3]) / 2
    inside_x = (look[:, 0, None] <= x) & (x <= look[:, 2, None])
    inside_y = (look[:, 1, None] <= y) & (y <= look[:, 3, None])
    return np.any(inside_x & inside_y, axis=0)
