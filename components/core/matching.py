"""One-to-one matching of predicted boxes to truth boxes of the same label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize  # pyright: ignore[reportMissingTypeStubs]

from components.core.boxes import Boxes, Matrix, ioa, iou

IGNORE_IOA = 0.5
Indices: TypeAlias = Sequence[int] | NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Pair k joins predicted[k] and truth[k] with iou[k]; sorted by predicted."""

    predicted: NDArray[np.intp]
    truth: NDArray[np.intp]
    iou: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.iou)


def same_labels(predicted: Sequence[str], truth: Sequence[str]) -> NDArray[np.bool_]:
    """(P, T): True where the labels agree after stripping and case folding."""
    plain = {label: label.strip().casefold() for label in dict.fromkeys([*predicted, *truth])}
    number = {label: i for i, label in enumerate(dict.fromkeys(plain.values()))}
    left, right = (np.array([number[plain[label]] for label in labels], dtype=np.intp) for labels in (predicted, truth))
    return left[:, None] == right[None, :]


def candidate_ious(
    predicted: Boxes, predicted_labels: Sequence[str], truth: Boxes, truth_labels: Sequence[str]
) -> Matrix:
    """IoU of every pair, (P, T), 0 where the labels differ."""
    return iou(predicted, truth) * same_labels(predicted_labels, truth_labels)


def match_optimal(ious: Matrix, min_iou: float, most_pairs: bool = False) -> Matches:
    """The pairs with IoU >= min_iou whose total IoU is largest; with `most_pairs` the most pairs come first.

    ious: (P, T), as candidate_ious gives it. Hungarian: greedy finds one pair where two cross.
    """
    allowed = (ious >= min_iou) & (ious > 0)
    # a pair whose two boxes have no other candidate is in every best matching: only the rest needs solving
    row_choices, column_choices = allowed.sum(axis=1), allowed.sum(axis=0)
    rows, columns = np.nonzero(allowed)
    alone = (row_choices[rows] == 1) & (column_choices[columns] == 1)
    if alone.all():
        return _matches(rows, columns, ious)
    left, right = _assign(ious, allowed, np.unique(rows[~alone]), np.unique(columns[~alone]), most_pairs)
    rows, columns = np.concatenate([rows[alone], left]), np.concatenate([columns[alone], right])
    order = np.argsort(rows)
    return _matches(rows[order], columns[order], ious)


def _assign(
    ious: Matrix, allowed: NDArray[np.bool_], rows: NDArray[np.intp], columns: NDArray[np.intp], most_pairs: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The best allowed pairs among these rows and columns."""
    part = np.ix_(rows, columns)
    # each pair is worth more than all IoU together where their number comes first
    bonus = float(min(len(rows), len(columns)) + 1) if most_pairs else 0.0
    gain = np.where(allowed[part], ious[part] + bonus, 0.0)
    solver: Any = optimize  # scipy ships no types
    left, right = solver.linear_sum_assignment(gain, maximize=True)
    kept = allowed[part][left, right]
    return rows[left[kept]], columns[right[kept]]


def match_greedy(ious: Matrix, min_iou: float) -> Matches:
    """Predictions in their order, each takes the best free truth with IoU >= min_iou (for the ablation)."""
    free = np.ones(ious.shape[1], dtype=bool)
    pairs: list[tuple[int, int]] = []
    for row in range(ious.shape[0]):
        candidates = np.where(free & (ious[row] >= min_iou), ious[row], 0.0)
        if candidates.size and candidates.max() > 0:
            best = int(candidates.argmax())
            free[best] = False
            pairs.append((row, best))
    return _matches([row for row, _ in pairs], [column for _, column in pairs], ious)


def _matches(rows: Indices, columns: Indices, ious: Matrix) -> Matches:
    predicted, truth = np.asarray(rows, dtype=np.intp), np.asarray(columns, dtype=np.intp)
    return Matches(predicted, truth, ious[predicted, truth])


def in_ignore_region(boxes: Boxes, ignore: Boxes) -> NDArray[np.bool_]:
    """(N,): True where more than half of a box's own area lies in one ignore region."""
    if not len(boxes) or not len(ignore):
        return np.zeros(len(boxes), dtype=bool)
    return np.asarray(ioa(boxes, ignore).max(axis=1) > IGNORE_IOA)


def counted_predictions(predicted: Boxes, matches: Matches, ignore: Boxes) -> NDArray[np.bool_]:
    """(N,): False for an unmatched prediction in an ignore region: it is neither right nor wrong."""
    counted = ~in_ignore_region(predicted, ignore)
    counted[matches.predicted] = True
    return counted
