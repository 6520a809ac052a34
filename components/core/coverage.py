"""Boxes on a grid over their image: how much of each cell they cover, where answers disagree, how well two maps fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import Boxes
from components.core.completion import Answer
from components.core.scene import Truth

Maps: TypeAlias = NDArray[np.float64]
_NOTHING = 1e-9


def coverages(answers: Sequence[Boxes], width_px: int, height_px: int, grid: int) -> Maps:
    """(K, grid, grid): how many boxes of each answer cover each cell, in exact fractions of the cell.

    Rows run down the image.
    """
    boxes = np.concatenate(answers)  # all at once: a call costs more than the boxes of one answer
    columns = _cover_1d(boxes[:, 0], boxes[:, 2], width_px, grid)
    rows = _cover_1d(boxes[:, 1], boxes[:, 3], height_px, grid)
    ends = np.cumsum([len(answer) for answer in answers])
    parts = zip(np.split(rows, ends[:-1]), np.split(columns, ends[:-1]), strict=True)
    return np.stack([down.T @ across for down, across in parts])


def _cover_1d(low: NDArray[np.float32], high: NDArray[np.float32], side_px: int, grid: int) -> Maps:
    """(N, grid): the fraction of each strip that [low, high] covers."""
    edges = np.arange(grid + 1) * (side_px / grid)
    start = np.maximum(low[:, None].astype(np.float64), edges[None, :-1])
    end = np.minimum(high[:, None].astype(np.float64), edges[None, 1:])
    return np.clip(end - start, 0, None) * (grid / side_px)


def soft_dice(looks: Maps, disagreement: Maps) -> NDArray[np.float64]:
    """(K,): how well looks fit disagreements, both (K, grid, grid): 2 sum min / (sum + sum), 1 where both are empty."""
    axes = (1, 2)
    both = looks.sum(axis=axes) + disagreement.sum(axis=axes)
    empty = (looks.sum(axis=axes) < _NOTHING) & (disagreement.sum(axis=axes) < _NOTHING)
    overlap = 2 * np.minimum(looks, disagreement).sum(axis=axes)
    return np.where(empty, 1.0, overlap / np.where(empty, 1.0, both))


def disagreement_map(group: Sequence[object], truth: Truth, grid: int) -> NDArray[np.float16]:
    """(grid, grid) in [0, 1]: where the whole group disagrees; the picture for reports, not what is paid for."""
    answers = [answer for answer in group if isinstance(answer, Answer)]
    if not answers:
        return np.zeros((grid, grid), dtype=np.float16)
    counts = coverages([answer.boxes for answer in answers], truth.width_px, truth.height_px, grid)
    return np.minimum(1.0, 4 * counts.var(axis=0)).astype(np.float16)
