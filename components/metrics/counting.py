"""How far the number that was said is from the number of things that are there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from components.core.grammars import AnyParsed
from components.core.grammars.answers import CountAnswer
from components.core.scene import AnyTruth, CountTruth
from components.metrics.task import Table, TaskNumbers, of_one


def counting_numbers(answers: Sequence[AnyParsed], truths: Sequence[AnyTruth]) -> TaskNumbers:
    """exact and within_1: shares of the samples; mae and rmse in things; None without samples.

    An unreadable answer is never right and counts as 0 things in the errors.
    """
    true = np.array([truth.count for truth in truths if isinstance(truth, CountTruth)], dtype=float)
    readable = np.array([isinstance(answer, CountAnswer) for answer in answers], dtype=bool)
    said = np.array([answer.count if isinstance(answer, CountAnswer) else 0 for answer in answers], dtype=float)
    if not len(true):
        return TaskNumbers(dict.fromkeys(("exact", "within_1", "mae", "rmse")), [])
    error = np.abs(said - true)
    exact = readable & (error == 0)
    table = {
        "exact": float(exact.mean()),
        "within_1": float((readable & (error <= 1)).mean()),
        "mae": float(error.mean()),
        "rmse": float(np.sqrt((error**2).mean())),
    }
    return TaskNumbers(dict(table), [of_one(bool(right)) for right in exact])


def by_true_count(answers: Sequence[AnyParsed], truths: Sequence[AnyTruth]) -> Table:
    """count, samples, exact, mean_said of the samples with each true count; what cannot be read says 0."""
    groups: dict[int, list[tuple[float, bool]]] = {}
    for answer, truth in zip(answers, truths, strict=True):
        if isinstance(truth, CountTruth):
            said = answer.count if isinstance(answer, CountAnswer) else 0
            right = isinstance(answer, CountAnswer) and said == truth.count
            groups.setdefault(truth.count, []).append((said, right))
    return [
        {"count": count, "samples": len(rows), "exact": sum(right for _, right in rows) / len(rows),
         "mean_said": sum(said for said, _ in rows) / len(rows)}
        for count, rows in sorted(groups.items())
    ]  # fmt: skip
