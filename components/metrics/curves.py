"""The log-average miss rate over false positives per image, which two benchmarks share."""

from __future__ import annotations

import numpy as np

from components.metrics.evaluation_set import Floats, Indices

CALTECH_FPPI: Floats = np.array([0.01, 0.0178, 0.0316, 0.0562, 0.1, 0.1778, 0.3162, 0.5623, 1.0])
"""The nine reference points of Dollar et al. (PAMI 2012), rounded as both evaluations have them."""


def log_average_miss(recall: Floats, places: Indices) -> float:
    """exp of the mean log miss rate at these places of the curve; -1 stands for a point that nothing reaches (miss 1).

    0 where any of them misses nobody.
    """
    miss = np.where(places < 0, 1.0, 1 - recall[places]) if len(recall) else np.ones(len(places))
    return float(np.exp(np.log(miss).mean())) if (miss > 0).all() else 0.0
