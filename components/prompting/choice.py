"""Which samples are taken: at most so many, shared between datasets by their weights, always the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from components.store.samples import image_groups
from components.store.schemas.prompts import PromptRow


def quotas(available: Mapping[str, int], weights: Mapping[str, float], total: int) -> dict[str, int]:
    """How many samples each dataset gives: shares of `total` by weight; what one cannot fill goes to the others."""
    given = dict.fromkeys(available, 0)
    open_names: list[str] = [name for name in available if available[name] > 0]
    left = min(total, sum(available.values()))
    while left > 0 and open_names:
        weight = sum(weights[name] for name in open_names)
        shares = {name: min(available[name] - given[name], int(left * weights[name] / weight)) for name in open_names}
        if not any(shares.values()):  # fewer left than datasets: one each, the heaviest first
            by_weight = sorted((-weights[name], name) for name in open_names)
            heaviest = {name for _, name in by_weight[:left]}
            shares = {name: 1 if name in heaviest else 0 for name in open_names}
        for name, share in shares.items():
            given[name] += share
        left -= sum(shares.values())
        open_names = [name for name in open_names if given[name] < available[name]]
    return given


def chosen(
    rows: Sequence[PromptRow],
    most: int,
    seed: Sequence[int],
    weights: Mapping[str, float],
    caps: Mapping[str, int | None],
) -> list[PromptRow]:
    """At most `most` rows in the order of a seeded shuffle; each dataset (`source`) within its quota and its cap."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["source"]] = counts.get(row["source"], 0) + 1
    available = {name: min(count, caps.get(name) or count) for name, count in counts.items()}
    left = quotas(available, weights, most)
    kept: list[PromptRow] = []
    images = image_groups(rows)
    for i in np.random.default_rng(seed).permutation(len(images)):
        places = images[int(i)]  # the tiles of an image go together: a part of it could not be scored
        source = rows[places[0]]["source"]
        if left[source] >= len(places):
            left[source] -= len(places)
            kept += [rows[place] for place in places]
    return kept
