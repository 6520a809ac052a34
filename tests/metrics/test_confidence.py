"""Confidences by hand, and how far they can be believed."""

from __future__ import annotations

import numpy as np
import pytest

from components.core.boxes import as_boxes
from components.metrics.confidence import calibration_error, consensus, rank, reliability

HERE, THERE = [0, 0, 10, 10], [30, 30, 50, 50]


def test_rank_falls_in_the_order_of_generation() -> None:
    assert rank(3).tolist() == [1, 0.5, 1 / 3]


def test_consensus_counts_the_answers_that_hold_a_box_of_its_label_once_each() -> None:
    boxes, labels = as_boxes([HERE, HERE, THERE]), ("person", "person", "dog")
    others = [
        (as_boxes([[0, 0, 10, 9]]), ("Person",)),  # holds one of the twins, not both
        (as_boxes([HERE, HERE]), ("person", "person")),
        (as_boxes([THERE]), ("person",)),  # another label
        (as_boxes([]), ()),
    ]
    found = consensus(boxes, labels, others, 0.5)
    assert sorted(found[:2].tolist()) == [0.25, 0.5]
    assert found[2] == 0
    with pytest.raises(ValueError, match="at least one"):
        consensus(boxes, labels, [], 0.5)


def test_reliability_by_hand() -> None:
    scores, right = np.array([0.05, 0.72, 0.78, 1.0]), np.array([False, True, False, True])
    assert reliability(scores, right) == [
        {"from": 0.0, "boxes": 1, "confidence": 0.05, "precision": 0.0},
        {"from": 0.7, "boxes": 2, "confidence": 0.75, "precision": 0.5},
        {"from": 0.9, "boxes": 1, "confidence": 1.0, "precision": 1.0},
    ]
    assert calibration_error(scores, right) == pytest.approx((0.05 + 2 * 0.25 + 0) / 4)
    assert calibration_error(scores[:0], right[:0]) is None
