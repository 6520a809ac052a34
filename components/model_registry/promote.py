"""Who may become champion: gates, aliases that move together, and a record of each move."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from components.errors import RegistryError
from components.model_registry.gain import Gate, Rescore
from components.model_registry.gates import SEEN, VERIFIED, gate_table, lineage_gates, untainted
from components.model_registry.mlflow_types import Client, Version
from components.model_registry.recall import CHAMPION
from components.model_registry.registry import (
    alias_version,
    connect,
    find_version,
    only_writer,
    profile_model,
    uri_of,
)
from components.params.promote import PromoteParams
from components.params.reading import load_section

PREVIOUS = "previous"
PROMOTIONS = "promotions"


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

    rescore gives the champion's scores on the version's test images, where they are others.
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
        gates = [*lineage_gates(previous), untainted(previous)]
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


def _record(client: Client, version: Version, outcome: Promotion, reason: str) -> None:
    when = datetime.now(UTC)
    record = asdict(outcome) | {"who": getpass.getuser(), "when": when.isoformat(), "reason": reason}
    text = json.dumps(record, indent=2, sort_keys=True)
    client.log_text(version.run_id, text, f"{PROMOTIONS}/{when:%Y%m%dT%H%M%S%f}.json")


def _move(client: Client, version: Version, champion: Version | None) -> None:
    """`previous` first: a kill between the two leaves a champion, and the same command finishes."""
    if champion is not None and champion.version != version.version:
        client.set_registered_model_alias(version.name, PREVIOUS, champion.version)
    client.set_registered_model_alias(version.name, CHAMPION, version.version)
    now = alias_version(client, version.name, CHAMPION)
    if now is None or now.version != version.version:
        seen = f"version {now.version}" if now else "nothing"
        raise RegistryError(f"another machine moved {CHAMPION} to {seen} at the same time; look, and run it again")
