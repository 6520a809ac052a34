"""The gates of promotion: each one condition, with what was seen and what is wanted."""

from __future__ import annotations

from components.core.dotted import leaves
from components.metrics.resampling import LESS_IS_BETTER
from components.model_registry.gain import Gate, Rescore, gain_gates, refuse_unknown
from components.model_registry.licences import terms
from components.model_registry.lineage_types import Lineage
from components.model_registry.mlflow_types import Version
from components.model_registry.recall import told
from components.model_registry.registry import statement_of, uri_of
from components.model_registry.statement import from_statement
from components.model_registry.verify import Finding, unseen, verify
from components.params.promote import PromoteParams
from components.scoring.measured import value_in

VERIFIED, SEEN = "lineage verified", "lineage seen"
"""The gates that --force does not overrule: nothing broken is promoted, and what is unproven with --unseen-ok only."""


def gate_table(version: Version, champion: Version | None, params: PromoteParams, rescore: Rescore) -> list[Gate]:
    """Every gate, passed or not; a missing number fails."""
    gates = lineage_gates(version)
    if not gates[0].passed:
        return gates  # what a broken lineage says is no reason for any other gate
    lineage = from_statement(statement_of(version))
    gates += [_clean(lineage), untainted(version), _validated(lineage), _licences(lineage, params)]
    gates.append(_protocols(lineage, params))
    refuse_unknown(lineage, version, params.metric)
    if champion is None:
        return [*gates, _number_to_beat(lineage, params.metric)]
    return [*gates, *gain_gates(champion, version, params, rescore)]


def _number_to_beat(lineage: Lineage, metric: str) -> Gate:
    value, less = value_in(lineage["metrics"]["grpo"], metric), metric in LESS_IS_BETTER
    seen, wanted = f"{metric} {value}, no champion yet", "a number" if less else f"{metric} above 0"
    return Gate("a number to beat", value is not None and (less or value > 0), seen, wanted)


def lineage_gates(version: Version) -> list[Gate]:
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


def untainted(version: Version) -> Gate:
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
    tasks: dict[str, object] = {name: one["numbers"] for name, one in metrics.get("tasks", {}).items()}
    numbers = leaves({**tasks, **metrics})
    missing = [
        name
        for name in params.required_protocols
        if all(value is None for path, value in numbers.items() if path.startswith(f"{name}."))
    ]
    return Gate("protocols", not missing, f"missing: {', '.join(missing)}" if missing else "all there",
                ", ".join(params.required_protocols))  # fmt: skip
