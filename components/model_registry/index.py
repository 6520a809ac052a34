"""A local index of statements, so that questions about many versions do not download them one by one.

It holds nothing of its own: whatever is missing is read from the registry again.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from components.errors import RegistryError
from components.home import lookout_home, mlflow_uri
from components.model_registry.registry import IMAGES_FILE, all_versions, artifact, connect, statement_of
from components.model_registry.statement import from_statement
from components.store.cache_file import open_cache

PREFIX = re.compile(r"[0-9a-f]{8,}")
"""What may be the beginning of a digest; a dataset's name is never cut: `crowd` does not recall `crowdhuman`."""
SCHEMA = """
create table if not exists version (id text primary key, name text, number integer, key text, created integer);
create table if not exists digest (digest text, id text, what text);
create index if not exists by_digest on digest (digest)
"""
_VERSION = 1


def used_by(what: str) -> list[dict[str, Any]]:
    """Every version made from a digest, dataset, image, commit or base, newest first; 8 characters of a digest will do.

    Each: name, version, key, and in what place of its lineage. Raises RegistryError where no registry answers.
    """
    client = connect()
    versions = all_versions(client)
    with closing(open_cache(lookout_home() / "lineage-index.sqlite", SCHEMA, _VERSION)) as index:
        _fill(index, versions)
        rows = index.execute(
            "select distinct v.name, v.number, v.key, d.what, v.id from digest d join version v on v.id = d.id "
            "where d.digest = ? or d.digest glob ? order by v.created desc, v.number desc",
            (what, f"{what}*" if PREFIX.fullmatch(what) else ""),
        ).fetchall()
    there = {_id(version) for version in versions}
    return [
        {"name": name, "version": number, "key": key, "as": place}
        for name, number, key, place, identity in rows
        if identity in there
    ]


def _id(version: Any) -> str:
    return f"{mlflow_uri()}|{version.run_id}|{version.name}|{version.version}"


def _fill(index: sqlite3.Connection, versions: list[Any]) -> None:
    """Adds what is not known yet, a version a transaction: of several processes at once the first one's rows stay."""
    known = {row[0] for row in index.execute("select id from version")}
    for version in versions:
        name = _id(version)
        if name in known:
            continue
        rows = [(digest, name, what) for digest, what in _digests(version)]
        own = (version.name, int(version.version), version.tags["lookout.key"], int(version.creation_timestamp))
        with index:
            if index.execute("insert or ignore into version values (?, ?, ?, ?, ?)", (name, *own)).rowcount:
                index.executemany("insert into digest values (?, ?, ?)", rows)


def _digests(version: Any) -> Iterator[tuple[str, str]]:
    """Everything that a recall could name, with its place in the lineage."""
    try:
        lineage = from_statement(statement_of(version))
        images = artifact(version, IMAGES_FILE).read_text().split()
    except (RegistryError, KeyError, json.JSONDecodeError):
        return  # a version of another kind: it is not ours to judge
    yield lineage["key"], "lineage"
    yield str(lineage["code"]["commit"]), "code"
    yield lineage["base"]["name"], "base"
    for name, digest in lineage["base"]["sha256"].items():
        yield digest, f"base {name}"
    for name, digest in lineage["files"].items():
        yield digest, f"model file {name}"
    for place, datasets in (("dataset", lineage["data"]), ("base's dataset", lineage["base"].get("data", {}))):
        for name, one in datasets.items():
            yield name, f"{place} {name}"
            yield str(one["dvc_md5"]), f"{place} {name}"
    for name, digest in lineage["prompts"].items():
        yield digest, f"prompts {name}"
    for digest in images:
        yield digest, "training image"
