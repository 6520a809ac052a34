"""A dataset beside its earlier validated version: counts and distributions, and which of them have moved."""

from __future__ import annotations

import html
from importlib import resources
from pathlib import Path
from typing import TypedDict

from components.errors import DataError
from components.graph.dvc_lock import LOCK_FILE, lock_values, out_digests, read_lock_file
from components.machine.git import git
from components.quality.distributions import population_stability
from components.quality.pictures import histogram
from components.store.atomic import atomic_file, write_json
from components.store.json_file import parse_json, read_json
from components.store.schemas.validated import Validated

SHIFT = 0.25
VALIDATED, REPORTS = Path("data/validated"), Path("reports/drift")


class Pair(TypedDict):
    """A count in both versions."""

    before: float | None
    after: float


class Drift(TypedDict):
    """How far two versions of a dataset lie apart."""

    schema: str
    dataset: str
    counts: dict[str, Pair]
    population_stability: dict[str, float]
    threshold: float
    moved: list[str]


class DriftSince(Drift):
    """The file: with the git revision of the earlier version."""

    revision: str


def drift(before: Validated, after: Validated, threshold: float = SHIFT) -> Drift:
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


def previous_version(name: str, validated: Path) -> str | None:
    """The newest commit whose dvc.lock holds another validated version of the dataset than the workspace's.

    Commits of every branch and tag count, so that a version kept by its tag alone is found; one whose dvc.lock is torn
    does not. None: there is none. Raises DataError where the workspace's dvc.lock does not say which version lies
    here: it would be held against itself.
    """
    folder = (validated / name).as_posix()
    commits = (git("log", "--all", "--format=%h", "--", LOCK_FILE.name) or "").split()
    if not commits and not LOCK_FILE.exists():
        return None
    now = out_digests(read_lock_file()).get(folder)
    for revision in commits:
        try:
            digest = out_digests(lock_values(git("show", f"{revision}:{LOCK_FILE}") or "")).get(folder)
        except DataError:
            continue
        if digest is not None and now is None:
            raise DataError(f"{LOCK_FILE} has no {folder}: dvc repro validate@{name} makes the version to compare")
        if digest is not None and digest != now:
            return revision
    return None


def drift_of(name: str, revision: str | None = None) -> DriftSince | None:
    """The workspace's validated version against an earlier one, written to reports/drift; None: there is none.

    `revision` is a git revision; None takes the previous version. Raises DataError where it cannot be read.
    """
    found = revision or previous_version(name, VALIDATED)
    return None if found is None else drift_since(name, found, VALIDATED, REPORTS / f"{name}.json")


def drift_since(name: str, revision: str, validated: Path, out: Path, threshold: float = SHIFT) -> DriftSince:
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
        kept = dvc.api.read(path.as_posix(), rev=revision)
    except (DvcException, SCMError, OSError) as error:
        raise DataError(
            f"{revision} holds no {path} ({' '.join(str(error).split())[:120]}); was its dvc.lock committed, and is it "
            "in the cache (dvc fetch)?"
        ) from None
    before = parse_json(kept, f"{path} of {revision}", "dvc fetch brings it back where DVC's cache is damaged")
    after = read_json(path)
    found: DriftSince = {**drift(before, after, threshold), "revision": revision}
    write_json(out, found)
    with atomic_file(out.with_suffix(".html")) as partial:
        partial.write_text(drift_page(found, before, after))
    return found


def drift_page(found: DriftSince, before: Validated, after: Validated) -> str:
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
<p>The version now is <a href="../validation/{name}/index.html">validated here</a>.
PSI, the population stability index, is 0 for equal histograms; above {found["threshold"]:g} a distribution
has moved.</p>
<h2>Counts</h2><table class="counts"><tr><th></th><th>before</th><th>now</th></tr>{counts}</table>
<h2>Distributions</h2><table>{charts}</table></main></body></html>
"""


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
