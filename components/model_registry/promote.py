"""Who may become champion: gates, aliases that move together, and a record of each move."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from components.errors import RegistryError
from components.metrics.detection import ImageCounts, drawn_f1, pooled
from components.metrics.task import headline_of
from components.model_registry.lineage import Lineage
from components.model_registry.registry import (
    alias_version,
    artifact,
    connect,
    find_version,
    only_writer,
    statement_of,
)
from components.model_registry.statement import from_statement
from components.model_registry.verify import holds, verify
from components.params import PromoteParams, load_params
from components.store.schemas import PER_IMAGE
from components.store.tables import read_table

Rescore = Callable[[Any, Lineage], Path]
CHAMPION, PREVIOUS = "champion", "previous"
TAINT = "lookout.tainted"
VERIFIED = "lineage verified"
"""The gate that no one overrules: nothing unproven is promoted."""
PROMOTIONS = "promotions"
NONCOMMERCIAL = ("non-commercial", "noncommercial", "non commercial", "-nc", "research")


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: whether it passed, what was seen, what is wanted."""

    name: str
    passed: bool
    seen: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Promotion:
    """What came of it: the version, whether it is champion now, the gates, what was champion before."""

    version: str
    promoted: bool
    gates: list[Gate]
    before: str | None


def compare(reference: str, rescore: Rescore) -> Promotion:
    """The gates as `promote` would see them; nothing is moved or recorded. Raises RegistryError."""
    params = load_params()
    client = connect()
    version = find_version(client, reference, params.register_.model_name)
    champion = alias_version(client, version.name, CHAMPION)
    if champion is not None and champion.version == version.version:
        return Promotion(_named(version), True, [], _named(champion))
    gates = gate_table(version, champion, params.promote, rescore)
    return Promotion(_named(version), False, gates, _named(champion) if champion else None)


def promote(reference: str, rescore: Rescore, force: bool = False, reason: str = "") -> Promotion:
    """Moves `champion` to the version where every gate passes, and `previous` to the champion that was.

    rescore(version, lineage) gives the champion's per_image.parquet on the test images of that lineage.
    force: also where they do not, but never where the lineage does not hold; then a reason is wanted, and kept.
    The gate table and who, when, from what become an artifact of the version's run. Raises RegistryError where the
    version is not there.
    """
    if force and not reason.strip():
        raise RegistryError("--force overrules the gates: say why with --reason")
    params = load_params()
    client = connect()
    name = params.register_.model_name
    with only_writer():
        version = find_version(client, reference, name)
        champion = alias_version(client, version.name, CHAMPION)
        if champion is not None and champion.version == version.version:
            return Promotion(_named(version), True, [], _named(champion))
        gates = gate_table(version, champion, params.promote, rescore)
        failed = [gate.name for gate in gates if not gate.passed]
        promoted = not failed or (force and VERIFIED not in failed)
        outcome = Promotion(_named(version), promoted, gates, _named(champion) if champion else None)
        _record(client, version, outcome, reason)
        if promoted:
            _move(client, version, champion)
    return outcome


def rollback() -> tuple[str, str]:
    """`champion` and `previous` change places: (champion, previous). Raises RegistryError without a previous."""
    client = connect()
    name = load_params().register_.model_name
    with only_writer():
        champion, previous = (alias_version(client, name, alias) for alias in (CHAMPION, PREVIOUS))
        if previous is None:
            raise RegistryError(f"{name} has no previous champion to go back to")
        _move(client, previous, champion)
    return _named(previous), _named(champion) if champion else ""


def taint(digest: str, reason: str) -> list[str]:
    """Marks every version made from a digest, dataset, image, commit or base, so that none of them is promoted."""
    from components.model_registry.index import used_by

    if not reason.strip():
        raise RegistryError("a taint wants a reason: --reason")
    client = connect()
    found = sorted({(one["name"], one["version"]) for one in used_by(digest)}, reverse=True)
    with only_writer():
        for name, number in found:
            client.set_model_version_tag(name, str(number), TAINT, f"{digest}: {reason}")
    return [f"models:/{name}/{number}" for name, number in found]


def gate_table(version: Any, champion: Any, params: PromoteParams, rescore: Rescore) -> list[Gate]:
    """Every gate, passed or not; a missing number fails."""
    lineage = from_statement(statement_of(version))
    gates = [_verified(version), _clean(lineage), _untainted(version), _validated(lineage), _licences(lineage, params)]
    gates.append(_protocols(lineage, params))
    if champion is None:
        best = headline_of(lineage["metrics"]["grpo"])
        seen = f"{best.name} {best.value}, no champion yet"
        return [*gates, Gate("a number to beat", bool(best.value), seen, f"{best.name} above 0")]
    before, after = counts_on_the_same_images(champion, version, rescore)
    return [*gates, *_gain(before, after, params), *_regressions(before, after, params)]


def _verified(version: Any) -> Gate:
    findings = verify(f"models:/{version.name}/{version.version}")
    broken = [finding for finding in findings if finding.holds is False]
    seen = f"{broken[0].claim}: {broken[0].seen}" if broken else f"{len(findings)} claims, none broken"
    return Gate(VERIFIED, holds(findings), seen, "lookout verify finds nothing broken")


def _clean(lineage: Lineage) -> Gate:
    code = lineage["code"]
    return Gate("code was committed", code["clean"], (code["commit"] or "no commit")[:12], "a commit without changes")


def _untainted(version: Any) -> Gate:
    mark = version.tags.get(TAINT)
    return Gate("nothing recalled", mark is None, mark or "no taint", "no taint")


def _validated(lineage: Lineage) -> Gate:
    failed = [name for name, one in lineage["data"].items() if not one["validation"]["success"]]
    return Gate("data validated", not failed, ", ".join(failed) or "all datasets passed", "no validation errors")


def _licences(lineage: Lineage, params: PromoteParams) -> Gate:
    found = [
        f"{name}: {one['licence']}"
        for datasets in (lineage["base"].get("data", {}), lineage["data"])
        for name, one in datasets.items()
        if one["role"] != "eval" and any(word in one["licence"].casefold() for word in NONCOMMERCIAL)
    ]
    seen = ", ".join(found) or "none is non-commercial"
    return Gate("licences", params.allow_noncommercial or not found, seen,
                "any" if params.allow_noncommercial else "no non-commercial training data")  # fmt: skip


def _protocols(lineage: Lineage, params: PromoteParams) -> Gate:
    metrics = lineage["metrics"]["grpo"]
    tables = {name: one["numbers"] for name, one in metrics.get("tasks", {}).items()} | metrics
    missing = [
        name for name in params.required_protocols if all(value is None for value in (tables.get(name) or {}).values())
    ]
    return Gate("protocols", not missing, f"missing: {', '.join(missing)}" if missing else "all there",
                ", ".join(params.required_protocols))  # fmt: skip


Rows = dict[str, tuple[str, ImageCounts]]


def counts_on_the_same_images(champion: Any, version: Any, rescore: Rescore) -> tuple[Rows, Rows]:
    """Both versions' counts by sample; where the test set has changed the champion is scored again on the new one."""
    before, after = (from_statement(statement_of(one)) for one in (champion, version))
    test = "data/prompts/test.parquet"
    rows = read_counts(artifact(version, "reports/scores/grpo/per_image.parquet"))
    if before["prompts"].get(test) == after["prompts"].get(test):
        return read_counts(artifact(champion, "reports/scores/grpo/per_image.parquet")), rows
    return read_counts(rescore(champion, after)), rows


def read_counts(path: Path) -> Rows:
    """per_image.parquet as (source, counts) by sample."""
    table = read_table(path, PER_IMAGE).to_pylist()
    return {
        row["sample_id"]: (
            row["source"],
            ImageCounts(row["matched_count"], row["predicted_count"], row["truth_count"], row["matched_iou_sum"]),
        )
        for row in table
    }


def _gain(before: Rows, after: Rows, params: PromoteParams) -> list[Gate]:
    if list(before) != list(after):
        return [Gate("gain", False, f"{len(before)} and {len(after)} images, not the same", "the same images")]
    counts = [[count for _, count in rows.values()] for rows in (before, after)]
    ends = [pooled(rows)["f1"] for rows in counts]
    drawn = [drawn_f1([rows], params.bootstrap_samples, params.seed)[0] for rows in counts]
    if ends[0] is None or ends[1] is None or drawn[0] is None or drawn[1] is None:
        return [Gate("gain", False, f"F1 {ends[0]} and {ends[1]}", "a number for both")]
    gain = ends[1] - ends[0]
    low = float(np.quantile(drawn[1] - drawn[0], 1 - params.confidence))
    return [
        Gate(f"gain in {params.metric}", gain > params.min_gain, f"{ends[0]:.4f} -> {ends[1]:.4f}: {gain:+.4f}",
             f"above {params.min_gain:g}"),
        Gate("gain is no chance", low > 0, f"above {low:+.4f} with {params.confidence:.0%}, {len(before)} images",
             "above 0"),
    ]  # fmt: skip


def _regressions(before: Rows, after: Rows, params: PromoteParams) -> list[Gate]:
    gates: list[Gate] = []
    for source in dict.fromkeys(source for source, _ in after.values()):
        ends = [pooled([count for own, count in rows.values() if own == source])["f1"] for rows in (before, after)]
        if ends[0] is None or ends[1] is None:
            gates.append(Gate(f"no worse on {source}", False, f"F1 {ends[0]} and {ends[1]}", "a number for both"))
            continue
        loss = ends[0] - ends[1]
        gates.append(Gate(f"no worse on {source}", loss <= params.max_regression, f"{ends[0]:.4f} -> {ends[1]:.4f}",
                          f"a loss of at most {params.max_regression:g}"))  # fmt: skip
    return gates


def _record(client: Any, version: Any, outcome: Promotion, reason: str) -> None:
    when = datetime.now(UTC)
    record = asdict(outcome) | {"who": getpass.getuser(), "when": when.isoformat(), "reason": reason}
    text = json.dumps(record, indent=2, sort_keys=True)
    client.log_text(version.run_id, text, f"{PROMOTIONS}/{when:%Y%m%dT%H%M%S%f}.json")


def _move(client: Any, version: Any, champion: Any) -> None:
    """`previous` first: a kill between the two leaves a champion, and the same command finishes."""
    if champion is not None and champion.version != version.version:
        client.set_registered_model_alias(version.name, PREVIOUS, champion.version)
    client.set_registered_model_alias(version.name, CHAMPION, version.version)
    now = alias_version(client, version.name, CHAMPION)
    if now is None or now.version != version.version:
        seen = f"version {now.version}" if now else "nothing"
        raise RegistryError(f"another machine moved {CHAMPION} to {seen} at the same time; look, and run it again")


def _named(version: Any) -> str:
    return f"models:/{version.name}/{version.version}"
