"""What fits: the gold answers' length in tokens, and how small people become for the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from components.core.grammars import GRAMMARS
from components.errors import ParamsError
from components.store.schemas.prompt_summary import PeopleHeights, TokenBudget
from components.store.schemas.prompts import PromptRow

BINS = 20


def token_budget(lengths: Sequence[int], limit: int) -> TokenBudget:
    """Quantiles and histogram of the gold answers' lengths; the limit that would keep 99 % of them."""
    p50, p90, p99, most = (int(np.percentile(lengths, q, method="higher")) for q in (50, 90, 99, 100))
    counts, edges = np.histogram(lengths, bins=BINS)
    return {
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "max": most,
        "limit": limit,
        "too_long": int((np.asarray(lengths) > limit).sum()),
        "limit_that_keeps_99_percent": p99,
        "histogram": {"edges": [round(float(edge), 1) for edge in edges], "counts": counts.tolist()},
    }


def person_heights(heights_px: Sequence[float], min_height_px: float) -> PeopleHeights | None:
    """How tall people are in the model's pixels; the share below the limit; None without people."""
    if not heights_px:
        return None
    low, middle, high = np.percentile(heights_px, [1, 50, 99])
    below = float((np.asarray(heights_px) < min_height_px).mean())
    return {"p1": round(float(low), 1), "p50": round(float(middle), 1), "p99": round(float(high), 1),
            "min_height_px": min_height_px, "below_frac": round(below, 4)}  # fmt: skip


def check_numbers(samples: Iterable[PromptRow], most_number: int) -> None:
    """Raises ParamsError where a coordinate can be larger than the numbers that a built policy has tokens for."""
    for row in samples:
        resized = row["frame"] == "resized"
        side = max(row["model_width_px"], row["model_height_px"]) if resized else 1000
        if GRAMMARS[row["answer_as"]].has_coordinates and side > most_number:
            frame = f"{row['model_width_px']} x {row['model_height_px']} px" if resized else "thousandths"
            raise ParamsError(
                f"base.build.max_number is {most_number}, and {row['sample_id']} has coordinates up to {side} "
                f"({frame}): want {side} or more; `lookout new-profile` measures it"
            )


def pixels_factor(heights_px: Sequence[float], min_height_px: float) -> float:
    """How many times more pixels an image would need for 99 % of the people to reach the limit; at least 1."""
    smallest = float(np.percentile(heights_px, 1)) if heights_px else min_height_px
    return max(1.0, (min_height_px / max(smallest, 1e-6)) ** 2)
