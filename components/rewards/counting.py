"""The counting rewards: by points, where each thing must be pointed at once, and by a bare number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import optimize  # pyright: ignore[reportMissingTypeStubs]

from components.core.grammars.answers import CountAnswer
from components.core.points import Points, distances
from components.core.scene import CountTruth
from components.rewards.reward import Reward, per_answer

RADIUS_FRAC = 0.1
"""Of the image's diagonal: so far from the truth a point earns nothing, half as far it earns all."""
ALWAYS_MATCHED = 1000
"""So many points are always held against the truth; more only where the truth has half as many of its own."""
CROWDED = 10
"""With more things than this the radius shrinks: a fixed one pays a blind grid of points in a crowd."""


def make_points(settings: object) -> Reward:
    """S / (predicted + true - S), S = the largest total similarity of one-to-one pairs: in [0, 1].

    Both empty 1, one empty 0; more than 1,000 points and than twice the truth's 0. A truth without points is not
    scored. It has no settings.
    Source: Perception-R1, arXiv:2504.07954 (matched points); the formula is ours (docs/decisions/0018).
    """
    del settings
    return per_answer(CountAnswer, CountTruth, _by_points)


def _by_points(answer: CountAnswer, truth: CountTruth) -> float:
    if truth.points is None:
        return float("nan")
    if answer.points is None:
        return 0.0
    predicted, true = len(answer.points), len(truth.points)
    if predicted == 0 or true == 0:
        return float(predicted == true)
    if predicted > max(ALWAYS_MATCHED, 2 * true):
        return 0.0
    total = matched_similarity(answer.points, truth.points, radius_px(truth, true))
    return total / (predicted + true - total)


def radius_px(truth: CountTruth, true: int) -> float:
    """Where a point's similarity reaches 0, in pixels."""
    return RADIUS_FRAC * math.hypot(truth.width_px, truth.height_px) * min(1.0, math.sqrt(CROWDED / true))


def matched_similarity(predicted: Points, true: Points, radius: float) -> float:
    """The largest sum of clip(2 (1 - d / radius), 0, 1) over one-to-one pairs."""
    similarity = np.clip(2 * (1 - distances(predicted, true) / radius), 0, 1)
    near = similarity[similarity.any(axis=1)][:, similarity.any(axis=0)]
    if not near.size:
        return 0.0
    solver: Any = optimize  # scipy ships no types
    return float(near[solver.linear_sum_assignment(near, maximize=True)].sum())


def make_number(settings: object) -> Reward:
    """1 where the number is right; near it half of what is left of a tolerance of 1 + a tenth; else 0.

    An answer by points counts as their number. It has no settings.
    """
    del settings
    return per_answer(CountAnswer, CountTruth, _by_number)


def _by_number(answer: CountAnswer, truth: CountTruth) -> float:
    error, tolerance = abs(answer.count - truth.count), 1 + truth.count // 10
    if error == 0:
        return 1.0
    return 0.5 * (1 - error / (tolerance + 1)) if error <= tolerance else 0.0
