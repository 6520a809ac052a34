"""A local index of statements, so that questions about many versions do not download them one by one.

It holds nothing of its own: whatever is missing is read from the registry again.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from components.errors import RecallError, RegistryError
from components.machine.git import git
from components.machine.home import lookout_home
from components.model_registry.address import mlflow_uri
from components.model_registry.mlflow_types import Version
from components.model_registry.registry import KEY_TAG, all_versions, artifact, connect, statement_of
from components.model_registry.statement import from_statement
from components.model_registry.subjects import IMAGES_FILE
from components.params.reading import PARAMS_FILE
from components.params.whole import load_params
from components.store.cache_file import open_cache
from components.store.digest import file_md5, file_sha256

PREFIX = re.compile(r"[0-9a-f]{7,}")
"""What may be the beginning of a digest; a dataset's name is never cut: `crowd` does not recall `crowdhuman`."""
WHOLE = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}(\.dir)?")
"""SHA-256, commit, MD5: no version has one that it does not name."""
SCHEMA = """
create table if not exists version (id text primary key, name text, number integer, key text, created integer,
    names_images integer);
create table if not exists digest (digest text, id text, what text);
create index if not exists by_digest on digest (digest)
"""
_VERSION = 2


def used_by(what: str) -> list[dict[str, Any]]:
    """Every version made from a digest (7 characters do), dataset, image (SHA-256, path or name), commit or base.

    Newest first; each: name, version, key, and in what place of its lineage. None of them is an answer only where every
    version was looked at and `what` is something that can be looked up: otherwise RecallError, with what was found.
    """
    versions = all_versions(connect())
    terms = _terms(what)
    with closing(open_cache(lookout_home() / "lineage-index.sqlite", SCHEMA, _VERSION)) as index:
        unread = _fill(index, versions)
        rows = [
            row
            for term in terms
            for row in index.execute(
                "select distinct v.created, v.number, v.name, v.key, d.what, v.id from digest d join version v "
                "on v.id = d.id where d.digest = ? or d.digest glob ?",
                (term, f"{term}*" if PREFIX.fullmatch(term) else ""),
            )
        ]
        nameless = index.execute("select id, name, number from version where names_images = 0").fetchall()
    there = {_id(version) for version in versions}
    found = [
        {"name": name, "version": number, "key": key, "as": place}
        for _, number, name, key, place, identity in sorted(dict.fromkeys(rows), reverse=True)
        if identity in there
    ]
    is_image = not found or any(one["as"].startswith("training image") for one in found)
    if is_image and len(terms) == 1 and not PREFIX.fullmatch(what):  # a name, and no file here tells its digest
        unread += [f"models:/{name}/{number} (it names its images by SHA-256 only)"
                   for identity, name, number in nameless if identity in there]  # fmt: skip
    if unread:
        raise RecallError(
            f"{what!r} cannot be looked up in {len(unread)} versions: {unread[0]}; nothing is known of them", found
        )
    if not found and not _known(what, terms):
        raise RecallError(
            f"{what!r} cannot be looked up: none of {len(versions)} versions names it, and nothing here has it. Give a "
            "dataset's name, a commit, a digest (7 characters at least), an image's SHA-256, or a file's path", []
        )  # fmt: skip
    return found


def _terms(what: str) -> list[str]:
    """`what` as the index has it: as given, as a path from this checkout, and as the digests of a file here."""
    path = Path(what)
    if not what.strip() or not path.exists():
        return [what]
    near = os.path.relpath(path.resolve(), Path.cwd())
    return [what, near, *([file_sha256(path), file_md5(path)] if path.is_file() else [])]


def _known(what: str, terms: list[str]) -> bool:
    """Whether `what` is something of which no version may well be made: then none of them is the answer."""
    if WHOLE.fullmatch(what) or len(terms) > 2:
        return True
    if PREFIX.fullmatch(what):
        return git("rev-parse", "-q", "--verify", f"{what}^{{commit}}") is not None
    return PARAMS_FILE.exists() and what in load_params().datasets


def _id(version: Version) -> str:
    return f"{mlflow_uri()}|{version.run_id}|{version.name}|{version.version}"


def _fill(index: sqlite3.Connection, versions: list[Version]) -> list[str]:
    """Adds what is not known yet, a version a transaction: of several processes at once the first one's rows stay.

    Those that cannot be read, with the reason.
    """
    known = {row[0] for row in index.execute("select id from version")}
    unread: list[str] = []
    for version in versions:
        name = _id(version)
        if name in known:
            continue
        try:
            rows = [(digest, name, what) for digest, what in _digests(version)]
        except (RegistryError, KeyError, TypeError, ValueError) as error:
            unread.append(f"models:/{version.name}/{version.version} ({error})")
            continue
        named = any(what.startswith("training image ") for *_, what in rows)
        own = (version.name, int(version.version), version.tags[KEY_TAG], int(version.creation_timestamp), named)
        with index:
            if index.execute("insert or ignore into version values (?, ?, ?, ?, ?, ?)", (name, *own)).rowcount:
                index.executemany("insert into digest values (?, ?, ?)", rows)
    return unread


def _digests(version: Version) -> Iterator[tuple[str, str]]:
    """Everything that a recall could name, with its place in the lineage. Raises what reading a broken one raises."""
    lineage = from_statement(statement_of(version))
    images = artifact(version, IMAGES_FILE).read_text().splitlines()
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
            if "root" in one:
                yield one["root"], f"{place} {name}"
    for name, digest in lineage["prompts"].items():
        yield digest, f"prompts {name}"
    for line in images:
        digest, _, path = line.partition("  ")
        yield digest, "training image"
        if path:
            yield path, f"training image {path}"
            yield Path(path).name, f"training image {path}"
