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
from components.model_registry.licences import terms
from components.model_registry.recall import CHAMPION, told
from components.model_registry.registry import (
    alias_version,
    artifact,
    connect,
    find_version,
    only_writer,
    profile_model,
    statement_of,
    uri_of,
)
from components.model_registry.statement import Lineage, from_statement
from components.model_registry.verify import Finding, unseen, verify
from components.params.promote import PromoteParams
from components.params.reading import load_section
from components.store.schemas.scores import PER_IMAGE
from components.store.tables import read_table

Rescore = Callable[[Any, Lineage], Path]
PREVIOUS = "previous"
VERIFIED, SEEN = "lineage verified", "lineage seen"
"""The gates that --force does not overrule: nothing broken is promoted, and what is unproven with --unseen-ok only."""
PROMOTIONS = "promotions"


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
    params = load_section(PromoteParams)
    client = connect()
    version = find_version(client, reference)
    champion = alias_version(client, version.name, CHAMPION)
    if champion is not None and champion.version == version.version:
        return Promotion(uri_of(version), True, [], uri_of(champion))
    gates = gate_table(version, champion, params, rescore)
    return Promotion(uri_of(version), False, gates, uri_of(champion) if champion else None)


def promote(
    reference: str, rescore: Rescore, force: bool = False, reason: str = "", unseen_ok: bool = False
) -> Promotion:
    """Moves `champion` to the version where every gate passes, and `previous` to the champion that was.

    rescore(version, lineage) gives the champion's per_image.parquet on the test images of that lineage.
    force: also where they do not, but never where the lineage does not hold; unseen_ok: also where a claim could not be
    looked at here (no tag, no data in the cache). Both want a reason, which is kept.
    The gate table and who, when, from what become an artifact of the version's run. Raises RegistryError where the
    version is not there.
    """
    _refuse_silence(force, unseen_ok, reason)
    params = load_section(PromoteParams)
    client = connect()
    with only_writer():
        version = find_version(client, reference)
        champion = alias_version(client, version.name, CHAMPION)
        if champion is not None and champion.version == version.version:
            return Promotion(uri_of(version), True, [], uri_of(champion))
        gates = gate_table(version, champion, params, rescore)
        promoted = _allowed(gates, force, unseen_ok)
        outcome = Promotion(uri_of(version), promoted, gates, uri_of(champion) if champion else None)
        _record(client, version, outcome, reason)
        if promoted:
            _move(client, version, champion)
    return outcome


def _refuse_silence(force: bool, unseen_ok: bool, reason: str) -> None:
    for option in [name for name, given in (("--force", force), ("--unseen-ok", unseen_ok)) if given]:
        if not reason.strip():
            raise RegistryError(f"{option} overrules a gate: say why with --reason")


def _allowed(gates: list[Gate], force: bool, unseen_ok: bool) -> bool:
    failed = {gate.name for gate in gates if not gate.passed}
    if unseen_ok:
        failed.discard(SEEN)
    return not failed or (force and not failed & {VERIFIED, SEEN})


def rollback(force: bool = False, reason: str = "", unseen_ok: bool = False) -> tuple[str, str]:
    """`champion` and `previous` change places: (champion, previous).

    The gates of lineage and recall are promote's; force and unseen_ok as there. Raises RegistryError without a
    previous, and where one of them fails.
    """
    _refuse_silence(force, unseen_ok, reason)
    client = connect()
    name = profile_model()
    with only_writer():
        champion, previous = (alias_version(client, name, alias) for alias in (CHAMPION, PREVIOUS))
        if previous is None:
            raise RegistryError(f"{name} has no previous champion to go back to")
        gates = [*_lineage_gates(previous), _untainted(previous)]
        allowed = _allowed(gates, force, unseen_ok)
        _record(client, previous, Promotion(uri_of(previous), allowed, gates, uri_of(champion) if champion else None),
                reason)  # fmt: skip
        if not allowed:
            failed = [f"{gate.name}: {gate.seen}" for gate in gates if not gate.passed]
            raise RegistryError(
                f"{uri_of(previous)} does not become champion again: {'; '.join(failed)}. Promote another version, or "
                "overrule what may be overruled with --unseen-ok or --force and a --reason"
            )
        _move(client, previous, champion)
    return uri_of(previous), uri_of(champion) if champion else ""


def gate_table(version: Any, champion: Any, params: PromoteParams, rescore: Rescore) -> list[Gate]:
    """Every gate, passed or not; a missing number fails."""
    gates = _lineage_gates(version)
    if not gates[0].passed:
        return gates  # what a broken lineage says is no reason for any other gate
    lineage = from_statement(statement_of(version))
    gates += [_clean(lineage), _untainted(version), _validated(lineage), _licences(lineage, params)]
    gates.append(_protocols(lineage, params))
    if champion is None:
        best = headline_of(lineage["metrics"]["grpo"])
        seen = f"{best.name} {best.value}, no champion yet"
        return [*gates, Gate("a number to beat", bool(best.value), seen, f"{best.name} above 0")]
    before, after = counts_on_the_same_images(champion, version, rescore)
    return [*gates, *_gain(before, after, params), *_regressions(before, after, params)]


def _lineage_gates(version: Any) -> list[Gate]:
    findings = verify(uri_of(version))
    broken = [finding for finding in findings if finding.holds is False]
    return [
        Gate(VERIFIED, not broken, _told(broken) or f"{len(findings)} claims, none broken", "no claim is broken"),
        Gate(SEEN, not unseen(findings), _told(unseen(findings)) or "every claim was looked at",
             "every claim can be looked at here, or --unseen-ok"),
    ]  # fmt: skip


def _told(findings: list[Finding]) -> str:
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{findings[0].claim}: {findings[0].seen}{more}" if findings else ""


def _clean(lineage: Lineage) -> Gate:
    code = lineage["code"]
    return Gate("code was committed", code["clean"], (code["commit"] or "no commit")[:12], "a commit without changes")


def _untainted(version: Any) -> Gate:
    mark = told(version)
    return Gate("nothing recalled", mark is None, mark or "no taint", "no taint")


def _validated(lineage: Lineage) -> Gate:
    failed = [name for name, one in lineage["data"].items() if not one["validation"]["success"]]
    return Gate("data validated", not failed, ", ".join(failed) or "all datasets passed", "no validation errors")


def _licences(lineage: Lineage, params: PromoteParams) -> Gate:
    refused = ("unknown",) if params.allow_noncommercial else ("unknown", "non-commercial")
    found = [
        f"{name}: {one['licence'] or 'no licence'} ({kind})"
        for datasets in (lineage["base"].get("data", {}), lineage["data"])
        for name, one in datasets.items()
        if one["role"] != "eval" and (kind := terms(one["licence"], params.allowed_licences)) in refused
    ]
    wanted = "known licences of training data" if params.allow_noncommercial else "known, commercial training data"
    return Gate("licences", not found, ", ".join(found) or f"none is {' or '.join(refused)}",
                f"{wanted}, or the licence in promote.allowed_licences")  # fmt: skip


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
