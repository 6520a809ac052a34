"""The mark on every version made from something recalled: set, shown, taken away with a reason."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime

from components.errors import RecallError, RegistryError
from components.model_registry.index import used_by
from components.model_registry.mlflow_types import Client, Version
from components.model_registry.registry import alias_version, all_versions, connect, only_writer
from components.store.json_file import is_object

TAINT, CHAMPION, RECALLS = "lookout.tainted", "champion", "recalls"
HEAD = "> **Recalled.**"
"""What the version's page in the registry begins with, where it is marked."""


def marks(version: Version) -> dict[str, str]:
    """What was recalled -> why; empty where nothing was."""
    text = version.tags.get(TAINT)
    if not text:
        return {}
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if is_object(found):
        return {what: str(reason) for what, reason in found.items()}
    what, _, reason = text.partition(": ")  # an earlier Lookout wrote the last mark as text
    return {what: reason}


def told(version: Version) -> str | None:
    """The marks in one line, None where there is none."""
    found = marks(version)
    return "; ".join(f"{what}: {reason}" for what, reason in found.items()) if found else None


def warning(version: Version) -> str | None:
    """What every page of a marked version says, with what to do where it is the champion; None without a mark."""
    said = told(version)
    if said is None:
        return None
    champion = alias_version(connect(), version.name, CHAMPION)
    todo = "; it is the champion: lookout rollback" if champion and champion.version == version.version else ""
    return f"recalled: {said}{todo}"


def taint(what: str, reason: str) -> list[str]:
    """Marks every version made from a digest, dataset, image, commit or base, so that none of them is promoted.

    Raises RecallError where something cannot be looked up: the versions that were found are marked all the same.
    """
    _want(reason)
    try:
        found, unanswered = used_by(what), None
    except RecallError as error:
        found, unanswered = error.found, error
    client = connect()
    names = sorted({(one["name"], one["version"]) for one in found}, reverse=True)
    with only_writer():
        for name, number in names:
            version = client.get_model_version(name, str(number))
            _mark(client, version, marks(version) | {what: reason}, what, reason)
    if unanswered is not None:
        raise unanswered
    return [f"models:/{name}/{number}" for name, number in names]


def undo(what: str, reason: str) -> list[str]:
    """Takes the mark of `what` away, with a reason that is kept. Raises RegistryError where no version has it."""
    _want(reason)
    client = connect()
    with only_writer():
        found = [version for version in all_versions(client) if what in marks(version)]
        if not found:
            raise RegistryError(f"no version is marked for {what!r}; lookout trace shows what a version is marked for")
        for version in found:
            left = {name: why for name, why in marks(version).items() if name != what}
            _mark(client, version, left, what, reason)
    return [f"models:/{version.name}/{version.version}" for version in found]


def champion_among(names: list[str]) -> str | None:
    """The champion that is one of these versions, None where none is."""
    client = connect()
    for name in dict.fromkeys(one.split("/")[1] for one in names):
        champion = alias_version(client, name, CHAMPION)
        if champion and f"models:/{name}/{champion.version}" in names:
            return f"models:/{name}/{champion.version}"
    return None


def _want(reason: str) -> None:
    if not reason.strip():
        raise RegistryError("a recall wants a reason: --reason")


def _mark(client: Client, version: Version, found: dict[str, str], what: str, reason: str) -> None:
    """Tag, the head of the version's page, and a record of the move among its run's artifacts."""
    page = (version.description or "").split("\n\n", 1)[-1] if HEAD in (version.description or "") else None
    page = version.description or "" if page is None else page
    if found:
        client.set_model_version_tag(version.name, version.version, TAINT, json.dumps(found))
        said = "; ".join(f"{name}: {why}" for name, why in found.items()).replace("\n", " ")
        page = f"{HEAD} {said}\n\n{page}"
    else:
        client.delete_model_version_tag(version.name, version.version, TAINT)
    client.update_model_version(version.name, version.version, page)
    when = datetime.now(UTC)
    record = {
        "what": what,
        "reason": reason,
        "marked": what in found,
        "who": getpass.getuser(),
        "when": when.isoformat(),
    }
    client.log_text(version.run_id, json.dumps(record, indent=2), f"{RECALLS}/{when:%Y%m%dT%H%M%S%f}.json")
