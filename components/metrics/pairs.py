"""Which prediction may be matched to which person, of all images at once, and the two ways to choose among them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import optimize, sparse  # pyright: ignore[reportMissingTypeStubs]

from components.metrics.evaluation_set import Flags, Floats, Indices

CHUNK = 500_000  # pairs looked at together: about 60 MB


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Overlapping pairs: indices into `a` and `b` (P,), and their intersection in px² (P,); sorted by a, then b."""

    a: Indices
    b: Indices
    overlap: Floats


def overlapping(a: Floats, a_image: Indices, b: Floats, b_image: Indices) -> Pairs:
    """Pairs of boxes (N, 4) and (M, 4), x1 y1 x2 y2, of the same image that share some area. Images sorted."""
    start, stop = np.searchsorted(b_image, a_image, "left"), np.searchsorted(b_image, a_image, "right")
    ends = np.cumsum(stop - start)
    cuts = np.searchsorted(ends, np.arange(CHUNK, int(ends[-1]) if len(ends) else 0, CHUNK)).tolist()
    found = [
        _overlapping(a, b, np.arange(low, high), start, stop)
        for low, high in zip([0, *cuts], [*cuts, len(a)], strict=True)
        if low < high
    ]
    if not found:
        return Pairs(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))
    return Pairs(*(np.concatenate([getattr(one, name) for one in found]) for name in ("a", "b", "overlap")))


def _overlapping(a: Floats, b: Floats, rows: Indices, start: Indices, stop: Indices) -> Pairs:
    counts = (stop - start)[rows]
    left = np.repeat(rows, counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    right = np.repeat(start[rows], counts) + np.arange(len(left)) - first
    width = np.minimum(a[left, 2], b[right, 2]) - np.maximum(a[left, 0], b[right, 0])
    kept = np.flatnonzero(width > 0)
    left, right, width = left[kept], right[kept], width[kept]
    height = np.minimum(a[left, 3], b[right, 3]) - np.maximum(a[left, 1], b[right, 1])
    kept = np.flatnonzero(height > 0)
    return Pairs(left[kept], right[kept], width[kept] * height[kept])


def areas(boxes: Floats) -> Floats:
    """px² of each box (N, 4), x1 y1 x2 y2."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def ious(pairs: Pairs, a: Floats, b: Floats) -> Floats:
    """Intersection over union of each pair (P,)."""
    return pairs.overlap / (areas(a)[pairs.a] + areas(b)[pairs.b] - pairs.overlap)


def covered(a: Floats, a_image: Indices, b: Floats, b_image: Indices, least: float) -> Flags:
    """(N,): True where more than `least` of a box's own area lies in one of the boxes b of its image."""
    pairs = overlapping(a, a_image, b, b_image)
    inside = np.zeros(len(a), dtype=bool)
    inside[pairs.a[pairs.overlap > least * areas(a)[pairs.a]]] = True
    return inside


def ranks(image: Indices, score: Floats, order: Indices) -> Indices:
    """(D,): place of each prediction in its image by falling score, ties by `order`. Images sorted."""
    by_score = np.lexsort((order, -score, image))
    rank = np.empty(len(image), dtype=np.intp)
    rank[by_score] = np.arange(len(image)) - np.searchsorted(image, image[by_score], "left")
    return rank


def match_by_rank(a: Indices, b: Indices, value: Floats, rank: Indices, count: int, last_wins: bool = False) -> Indices:
    """(D,): the b that each a takes, -1 for none: in order of rank, each takes the free b of the highest value.

    a, b, value: (P,) the allowed pairs; rank (D,); count: how many b there are. Equal values: the first b, or the
    last. All images at once: those of one rank belong to different images and cannot want the same b.
    """
    taken = np.full(len(rank), -1, dtype=np.intp)
    order = np.lexsort((-b if last_wins else b, -value, a, rank[a]))
    a, b = a[order], b[order]
    free = np.ones(count, dtype=bool)
    steps = rank[a]
    bounds = np.searchsorted(steps, np.arange(int(steps[-1]) + 2 if len(steps) else 0))
    for low, high in pairwise(bounds.tolist()):
        open_ = np.flatnonzero(free[b[low:high]]) + low
        who = a[open_]
        chosen = open_[np.flatnonzero(np.diff(who, prepend=-1))]
        taken[a[chosen]] = b[chosen]
        free[b[chosen]] = False
    return taken


def match_best(a: Indices, b: Indices, value: Floats, counts: tuple[int, int]) -> Indices:
    """(P,) places of the chosen pairs: one-to-one, their total value the largest that there is.

    A pair that is its one box's only choice and the other box's best is in some best matching: most pairs go so,
    again and again. What is left is solved part by part (Hungarian).
    """
    left = np.arange(len(a))
    chosen: list[Indices] = []
    while len(left):
        sure = _sure(a[left], b[left], value[left], counts)
        if not len(sure):
            break
        chosen.append(left[sure])
        gone_a, gone_b = np.zeros(counts[0], dtype=bool), np.zeros(counts[1], dtype=bool)
        gone_a[a[chosen[-1]]], gone_b[b[chosen[-1]]] = True, True
        left = left[~gone_a[a[left]] & ~gone_b[b[left]]]
    chosen += [left[part] for part in _solved(a[left], b[left], value[left])]
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, dtype=np.intp)


def _sure(a: Indices, b: Indices, value: Floats, counts: tuple[int, int]) -> Indices:
    """Places of pairs that a best matching may be taken to hold; no two share a box."""
    alone_a, alone_b = np.bincount(a, minlength=counts[0])[a] == 1, np.bincount(b, minlength=counts[1])[b] == 1
    best_a, best_b = np.zeros(counts[0]), np.zeros(counts[1])
    np.maximum.at(best_a, a, value)
    np.maximum.at(best_b, b, value)
    places = np.flatnonzero((alone_a & (value == best_b[b])) | (alone_b & (value == best_a[a])))
    for side in (a, b):  # equal values: the first
        places = places[np.sort(np.unique(side[places], return_index=True)[1])]
    return places


def _solved(a: Indices, b: Indices, value: Floats) -> list[Indices]:
    """The chosen places of each connected part, by scipy's assignment."""
    if not len(a):
        return []
    scipy: Any = sparse  # scipy ships no types
    rows, columns = np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]
    size = int(rows.max()) + 1
    total = size + int(columns.max()) + 1
    graph = scipy.coo_matrix((np.ones(len(a)), (rows, size + columns)), shape=(total, total))
    part = scipy.csgraph.connected_components(graph, directed=False)[1][rows]
    order = np.argsort(part, kind="stable")
    bounds = np.flatnonzero(np.diff(part[order])) + 1
    return [_solve(places, rows, columns, value) for places in np.split(order, bounds)]


def _solve(places: Indices, rows: Indices, columns: Indices, value: Floats) -> Indices:
    solver: Any = optimize
    own_rows, row = np.unique(rows[places], return_inverse=True)
    own_columns, column = np.unique(columns[places], return_inverse=True)
    gain = np.zeros((len(own_rows), len(own_columns)))
    place = np.full(gain.shape, -1)
    gain[row, column], place[row, column] = value[places], places
    found = place[solver.linear_sum_assignment(gain, maximize=True)]
    return np.asarray(found[found >= 0])
