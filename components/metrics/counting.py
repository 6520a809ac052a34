"""How far the number of boxes is from the number of people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def count_errors(predicted: Sequence[int], truth: Sequence[int]) -> dict[str, float | None]:
    """mae, rmse, and the share of images within 10 % of the truth; None without images."""
    if not len(truth):
        return {"mae": None, "rmse": None, "within_10_percent": None}
    people = np.asarray(truth, dtype=np.float64)
    error = np.abs(np.asarray(predicted, dtype=np.float64) - people)
    return {
        "mae": float(error.mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "within_10_percent": float((error <= 0.1 * people).mean()),
    }
