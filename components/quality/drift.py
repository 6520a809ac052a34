"""A dataset beside its earlier validated version: counts and distributions, and which of them have moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from components.errors import DataError
from components.quality.distributions import population_stability
from components.store.atomic import write_json

SHIFT = 0.25


def drift(before: dict[str, Any], after: dict[str, Any], threshold: float = SHIFT) -> dict[str, Any]:
    """Both validation.json contents -> counts side by side, PSI of each distribution, what lies above `threshold`."""
    names = [name for name in after["distributions"] if name in before["distributions"]]
    stability = {
        name: round(population_stability(before["distributions"][name], after["distributions"][name]), 4)
        for name in names
    }
    numbers = {key: value for key, value in after["counts"].items() if isinstance(value, int | float)}
    return {
        "schema": "drift/1",
        "dataset": after["dataset"],
        "counts": {key: {"before": before["counts"].get(key), "after": value} for key, value in numbers.items()},
        "population_stability": stability,
        "threshold": threshold,
        "moved": sorted(name for name, value in stability.items() if value > threshold),
    }


def drift_since(name: str, revision: str, validated: Path, out: Path, threshold: float = SHIFT) -> dict[str, Any]:
    """Compares the workspace's version with that of a git revision, and writes `out`. Nothing depends on the file.

    Raises DataError where one of the two has no validation.json.
    """
    import dvc.api
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError

    path = validated / name / "validation.json"
    if not path.exists():
        raise DataError(f"{path} is not there: dvc repro validate@{name} writes it")
    try:
        before = json.loads(dvc.api.read(path.as_posix(), rev=revision))
    except (DvcException, SCMError, OSError) as error:
        raise DataError(
            f"{revision} holds no {path} ({' '.join(str(error).split())[:120]}); was its dvc.lock committed, and is it "
            "in the cache (dvc fetch)?"
        ) from None
    found = drift(before, json.loads(path.read_text()), threshold)
    write_json(out, found | {"revision": revision})
    return found
