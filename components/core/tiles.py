"""An image cut into overlapping tiles: which person belongs to which tile, and how the tiles' answers become one.

A tile is a rectangle of whole pixels of the original image. Everything that is said about it is in its own pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import Boxes, areas, as_boxes, clip, intersections
from components.core.scene import Truth

Tile = tuple[int, int, int, int]  # x1 y1 x2 y2
OWN_FRAC = 0.5
"""A person of whom a tile shows at least this much is asked for there."""
SAME_FRAC = 0.6
"""Two boxes of different tiles are one person where they share this much of the smaller one."""
EDGE_PX = 1.0


def tile_grid(width_px: int, height_px: int, rows: int, columns: int, overlap_frac: float) -> list[Tile]:
    """rows x columns tiles that cover the image, row by row; neighbours share `overlap_frac` of a tile's side."""
    across, down = _cuts(width_px, columns, overlap_frac), _cuts(height_px, rows, overlap_frac)
    return [(x1, y1, x2, y2) for y1, y2 in down for x1, x2 in across]


def _cuts(side_px: int, count: int, overlap_frac: float) -> list[tuple[int, int]]:
    length = side_px / (count - (count - 1) * overlap_frac)
    step = length * (1 - overlap_frac)
    starts = [round(i * step) for i in range(count)]
    return [
        (start, side_px if i == count - 1 else min(side_px, round(i * step + length))) for i, start in enumerate(starts)
    ]


def shown_frac(boxes: Boxes, tiles: Sequence[Tile]) -> NDArray[np.float64]:
    """(N, T): the share of each box's area that each tile shows."""
    own = areas(boxes)[:, None]
    return intersections(boxes, as_boxes(list(tiles))) / np.maximum(own, 1e-9)


def split_truth(truth: Truth, tiles: Sequence[Tile]) -> list[Truth]:
    """Each tile's own truth, cropped to it. Nobody is lost: a person belongs at least to the tile that shows most.

    Where a tile shows a piece of somebody who belongs elsewhere, the piece is an ignore region: it is neither
    to be found nor held against the answer.
    """
    people, ignore = shown_frac(truth.boxes, tiles), shown_frac(truth.ignore, tiles)
    most = people.argmax(axis=1) if len(tiles) else np.zeros(0, dtype=np.intp)
    parts: list[Truth] = []
    for number, tile in enumerate(tiles):
        belongs = (people[:, number] >= OWN_FRAC) | (most == number)
        pieces = (people[:, number] > 0) & ~belongs
        ignored = np.concatenate([truth.ignore[ignore[:, number] > 0], truth.boxes[pieces]])
        kept = np.flatnonzero(belongs)
        parts.append(
            Truth(
                boxes=_cropped(truth.boxes[kept], tile),
                labels=tuple(truth.labels[int(i)] for i in kept),
                ignore=_cropped(as_boxes(ignored), tile),
                width_px=tile[2] - tile[0],
                height_px=tile[3] - tile[1],
                visible_frac=None if truth.visible_frac is None else truth.visible_frac[kept],
            )
        )
    return parts


def _cropped(boxes: Boxes, tile: Tile) -> Boxes:
    x, y = tile[:2]
    return clip(as_boxes(boxes - np.array([x, y, x, y], dtype=np.float32)), tile[2] - x, tile[3] - y)


def merge(
    found: Sequence[Boxes], labels: Sequence[Sequence[str]], tiles: Sequence[Tile]
) -> tuple[Boxes, NDArray[np.intp]]:
    """The tiles' boxes in the image's pixels, each person once: boxes (N, 4), and which of all the boxes each began as.

    found, labels: a tile's boxes in its own pixels. The largest box stands; a box of another tile that shares most
    of the smaller one's area is the same person, and where that one is cut by an edge of its tile the two are joined.
    """
    shifted = [_shifted(boxes, tile) for boxes, tile in zip(found, tiles, strict=True)]
    boxes = np.concatenate(shifted) if shifted else np.zeros((0, 4), dtype=np.float32)
    owner = np.repeat(np.arange(len(tiles)), [len(one) for one in shifted])
    words = [word.strip().casefold() for part in labels for word in part]
    cut = (
        np.concatenate([_cut(one, tile, tiles) for one, tile in zip(shifted, tiles, strict=True)]) if shifted else owner
    )
    kept: list[int] = []
    result = boxes.astype(np.float32).copy()
    members: dict[int, set[int]] = {}
    for i in sorted(range(len(boxes)), key=lambda i: (-float(areas(as_boxes([boxes[i]]))[0]), i)):
        same = _same_person(i, kept, result, owner, words, members)
        if same is None:
            kept.append(i)
            members[i] = {int(owner[i])}
            continue
        members[same].add(int(owner[i]))
        if cut[same] and cut[i]:
            low, high = np.minimum(result[same, :2], result[i, :2]), np.maximum(result[same, 2:], result[i, 2:])
            result[same] = np.concatenate([low, high])
    order = np.array(sorted(kept), dtype=np.intp)
    return as_boxes(result[order]), order


def _shifted(boxes: Boxes, tile: Tile) -> Boxes:
    return as_boxes(boxes + np.array([tile[0], tile[1]] * 2, dtype=np.float32)) if len(boxes) else as_boxes([])


def _cut(boxes: Boxes, tile: Tile, tiles: Sequence[Tile]) -> NDArray[np.bool_]:
    """(N,): the box ends at an edge of its tile that is no edge of the image."""
    whole = np.array(tiles)
    image = (whole[:, 0].min(), whole[:, 1].min(), whole[:, 2].max(), whole[:, 3].max())
    inner = np.array([edge != limit for edge, limit in zip(tile, image, strict=True)])
    return np.asarray(((np.abs(boxes - np.array(tile)) <= EDGE_PX) & inner).any(axis=1), dtype=np.bool_)


def _same_person(
    i: int,
    kept: Sequence[int],
    boxes: Boxes,
    owner: NDArray[np.intp],
    words: Sequence[str],
    members: dict[int, set[int]],
) -> int | None:
    """The kept box that shows the same person as box i, seen in another tile; None for a new one."""
    others = [k for k in kept if int(owner[i]) not in members[k] and words[k] == words[i]]
    if not others:
        return None
    mine, theirs = as_boxes(boxes[[i]]), as_boxes(boxes[others])
    smaller = np.minimum(areas(mine)[0], areas(theirs))
    shared = intersections(mine, theirs)[0] / np.maximum(smaller, 1e-9)
    best = int(shared.argmax())
    return others[best] if shared[best] >= SAME_FRAC else None
