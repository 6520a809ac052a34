"""A dataset beside its earlier validated version: counts and distributions, and which of them have moved."""

from __future__ import annotations

import html
import json
from importlib import resources
from pathlib import Path
from typing import Any

from components.errors import DataError
from components.quality.distributions import population_stability
from components.quality.pictures import histogram
from components.store.atomic import atomic_file, write_json

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
    """Holds the workspace's version against a git revision's, and writes `out` and a page beside it, for nobody else.

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
    after = json.loads(path.read_text())
    found = drift(before, after, threshold) | {"revision": revision}
    write_json(out, found)
    with atomic_file(out.with_suffix(".html")) as partial:
        partial.write_text(drift_page(found, before, after))
    return found


def drift_page(found: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> str:
    """Counts side by side, each distribution before and after; what has moved stands first."""
    style = resources.files("components.quality").joinpath("page.css").read_text()
    name = html.escape(found["dataset"])
    counts = "".join(
        f"<tr><th>{html.escape(key.replace('_', ' '))}</th><td>{_shown(pair['before'])}</td>"
        f"<td>{_shown(pair['after'])}</td></tr>"
        for key, pair in found["counts"].items()
    )
    charts = ""
    for key, value in sorted(found["population_stability"].items(), key=lambda item: -item[1]):
        kind, verdict = ("bad", "moved") if key in found["moved"] else ("good", "steady")
        charts += (
            f"<tr><td class='{kind}'>{verdict}<br>PSI {value:.3f}</td>"
            f"<td>{histogram(f'{key}, before', before['distributions'][key])}</td>"
            f"<td>{histogram(f'{key}, now', after['distributions'][key])}</td></tr>"
        )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Drift of {name}</title><style>{style}</style></head><body><main>
<h1>Drift of {name} since {html.escape(found["revision"])}</h1>
<p>PSI, the population stability index, is 0 for equal histograms; above {found["threshold"]:g} a distribution
has moved.</p>
<h2>Counts</h2><table class="counts"><tr><th></th><th>before</th><th>now</th></tr>{counts}</table>
<h2>Distributions</h2><table>{charts}</table></main></body></html>
"""


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:g}"
