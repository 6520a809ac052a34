"""Images of one split that look the same as an image of another: leakage that no digest shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROWS_AT_ONCE = 256


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
