"""Images of one split that look the same as an image of another, or are the next frame of one: leakage by look."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS_AT_ONCE = 256
FEWEST_FRAMES = 8
MOST_OF_RANDOM = 0.75
"""Numbered pictures are a video where neighbours differ in less than this share of what pictures far apart do."""
_NUMBERED = re.compile(r"(.*?)(\d+)", re.DOTALL)
Table = Any
"""A pandas DataFrame."""


def add_near_duplicates(scenes: Table, most_bits: int | None) -> None:
    """near_duplicate: the image of another split that looks the same or is the next frame of its video, in words.

    near_duplicate_place: its row, near_duplicate_bits: in how many of 256 bits they differ; all null where there is
    none.
    """
    words: list[str | None] = [None] * len(scenes)
    places, bits = np.full(len(scenes), -1), np.full(len(scenes), -1)
    if most_bits is not None and scenes["split"].nunique() >= 2:
        hashes, splits = scenes["perceptual_hash"].tolist(), scenes["split"].tolist()
        nearest, distance = nearest_elsewhere(hashes, splits)
        ids, digests = scenes["scene_id"].tolist(), scenes["sha256"].to_numpy()
        found = {int(i): (int(nearest[i]), "") for i in np.flatnonzero(distance <= most_bits)}
        for i, j in frames_elsewhere(scenes["image_path"].tolist(), hashes, splits):
            found.setdefault(i, (j, "the next frame of one video; "))
        for i, (j, why) in found.items():
            if digests[i] == digests[j]:  # the very same file is another check's business
                continue
            places[i], bits[i] = j, _bits_that_differ(hashes[i], hashes[j])
            words[i] = f"{splits[j]} {ids[j]} ({why}{bits[i]} of 256 bits differ)"
    scenes["near_duplicate"], scenes["near_duplicate_place"], scenes["near_duplicate_bits"] = words, places, bits


def frames_elsewhere(paths: list[str], hashes: list[bytes | None], splits: list[str]) -> list[tuple[int, int]]:
    """(frame, its neighbour in another split) of every video: pictures numbered one after another that look alike.

    Whether they do is measured on the pictures themselves: drawn or collected ones that are merely numbered look no
    more like their neighbours than like any other.
    """
    sequences: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for i, path in enumerate(paths):
        place = PurePosixPath(path)
        numbered = _NUMBERED.fullmatch(place.stem)
        if numbered and hashes[i] is not None:
            sequences.setdefault((place.parent.as_posix(), numbered[1]), []).append((int(numbered[2][-18:]), i))
    found: list[tuple[int, int]] = []
    for frames in sequences.values():
        order = [i for _, i in sorted(frames)]
        if len({splits[i] for i in order}) > 1 and _is_video(order, hashes):
            found += [pair for i, j in pairwise(order) if splits[i] != splits[j] for pair in ((i, j), (j, i))]
    return found


def _is_video(order: list[int], hashes: list[bytes | None]) -> bool:
    if len(order) < FEWEST_FRAMES:
        return False
    half = len(order) // 2
    near = [_bits_that_differ(hashes[i], hashes[j]) for i, j in pairwise(order)]
    far = [_bits_that_differ(hashes[i], hashes[j]) for i, j in zip(order, order[half:] + order[:half], strict=True)]
    return bool(np.median(near) < MOST_OF_RANDOM * np.median(far))


def _bits_that_differ(one: bytes | None, other: bytes | None) -> int:
    return (int.from_bytes(one or b"") ^ int.from_bytes(other or b"")).bit_count()


def nearest_elsewhere(hashes: list[bytes | None], splits: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each image the place of the most similar image in another split, and in how many bits they differ.

    (-1, a large number) where there is none. Every pair across splits is compared, 256 bits at a time: 20,000
    images take seconds, and time grows with the square of their number.
    """
    size = len(hashes)
    nearest, distance = np.full(size, -1, dtype=np.int64), np.full(size, 10**6, dtype=np.int64)
    known = np.array([i for i, one in enumerate(hashes) if one is not None], dtype=np.int64)
    if not len(known):
        return nearest, distance
    words = np.frombuffer(b"".join(one for one in hashes if one is not None), dtype=np.uint64).reshape(len(known), -1)
    names = np.array(splits)[known]
    for split in np.unique(names):
        here, there = np.flatnonzero(names == split), np.flatnonzero(names != split)
        for start in range(0, len(here) if len(there) else 0, ROWS_AT_ONCE):
            rows = here[start : start + ROWS_AT_ONCE]
            bits = np.zeros((len(rows), len(there)), dtype=np.uint16)
            for word in range(words.shape[1]):  # word by word: the (rows, there, words) array would not fit a cache
                bits += np.bitwise_count(words[rows, None, word] ^ words[None, there, word])
            best = bits.argmin(axis=1)
            nearest[known[rows]] = known[there[best]]
            distance[known[rows]] = bits[np.arange(len(rows)), best]
    return nearest, distance
