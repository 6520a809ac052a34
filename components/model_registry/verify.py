"""Is a version still what its statement says? Every claim is hashed again; nothing is assumed."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from components.code_state import git
from components.model_registry.lineage import Lineage
from components.model_registry.registry import (
    IMAGES_FILE,
    STATEMENT_FILE,
    artifact,
    connect,
    find_version,
    git_tag,
    model_folder,
    statement_of,
)
from components.model_registry.statement import from_statement
from components.store.digest import file_md5, file_sha256


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim: whether it holds, and what was seen. `holds` None: it could not be looked at here."""

    claim: str
    holds: bool | None
    seen: str


def verify(reference: str, deep: bool = False, default_name: str = "") -> list[Finding]:
    """Findings on model files, statement, parameters, commit, data. Raises RegistryError for an unknown reference.

    deep: fetches what the cache lacks and hashes the data's own bytes, where else their names in the cache do.
    """
    version = find_version(connect(), reference, default_name)
    lineage = from_statement(statement_of(version))
    folder = model_folder(version)
    lock = lock_of(lineage)
    return [
        *_files(lineage, folder),
        _inside(version, folder),
        _weights_of_lock(lineage, lock, folder),
        _params(lineage, lock),
        _images(version, lineage),
        _tag(version, lineage),
        _commit(lineage),
        *_data(lineage, lock, git_tag(version.name, version.version) if deep else None),
    ]


def lock_of(lineage: Lineage) -> Any:
    """The embedded dvc.lock as plain values."""
    return _yaml(lineage["state"]["dvc.lock"])


def holds(findings: list[Finding]) -> bool:
    """Whether no claim is broken."""
    return all(finding.holds is not False for finding in findings)


def _files(lineage: Lineage, folder: Path) -> list[Finding]:
    there = {path.name: path for path in folder.iterdir() if path.is_file()}
    findings: list[Finding] = []
    for name in sorted(set(lineage["files"]) | set(there)):
        wanted = lineage["files"].get(name)
        found = file_sha256(there[name]) if name in there else None
        seen = f"sha256 {found[:16]}" if found else "the file is not there"
        if wanted is None:
            seen = "the statement does not name it"
        elif found is not None and found != wanted:
            seen += f", the statement says {wanted[:16]}"
        findings.append(Finding(f"model file {name}", found == wanted, seen))
    return findings


def _inside(version: Any, folder: Path) -> Finding:
    """The statement that travels inside the model is that of the run."""
    copy = folder.parent / STATEMENT_FILE
    if not copy.exists():
        return Finding("statement inside the model", False, "it is not there")
    same = file_sha256(copy) == file_sha256(artifact(version, STATEMENT_FILE))
    return Finding("statement inside the model", same, "the run's own" if same else "it differs from the run's")


def _weights_of_lock(lineage: Lineage, lock: Any, folder: Path) -> Finding:
    """The registered files are the bytes that the embedded dvc.lock names."""
    from components.model_registry.lineage import dvc_folder_digest

    outs = {out["path"]: out["md5"] for out in lock["stages"]["grpo"]["outs"]}
    wanted, found = outs.get("models/grpo"), dvc_folder_digest(folder)
    return Finding("weights are dvc.lock's", wanted == found, f"{found}, dvc.lock says {wanted}")


def _params(lineage: Lineage, lock: Any) -> Finding:
    """Every parameter that the lock recorded for a stage stands so in the embedded params.yaml."""
    values, wrong = _yaml(lineage["state"]["params.yaml"]), list[str]()
    count = 0
    for stage, body in lock["stages"].items():
        for key, recorded in body.get("params", {}).get("params.yaml", {}).items():
            count += 1
            if _at(values, key) != recorded:
                wrong.append(f"{stage}: {key}")
    seen = f"{wrong[0]} differs ({len(wrong)} of {count})" if wrong else f"{count} entries agree"
    return Finding("params.yaml is what dvc.lock ran with", not wrong, seen)


def _images(version: Any, lineage: Lineage) -> Finding:
    import hashlib

    digests = artifact(version, IMAGES_FILE).read_text().split()
    found = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return Finding("list of training images", found == lineage["images_sha256"], f"{len(digests)} images")


def _tag(version: Any, lineage: Lineage) -> Finding:
    claim, tag = "its params.yaml and dvc.lock stand on a commit", git_tag(version.name, version.version)
    if git("rev-parse", "-q", "--verify", f"refs/tags/{tag}") is None:
        return Finding(claim, None, f"the tag {tag} is not in this repository (git fetch --tags)")
    wrong = [path for path, text in lineage["state"].items() if git("show", f"{tag}:{path}") != text]
    return Finding(claim, not wrong, f"{wrong[0]} differs at {tag}" if wrong else tag)


def _commit(lineage: Lineage) -> Finding:
    code = lineage["code"]
    if not code["clean"]:
        return Finding("code is a commit", False, f"it was not committed: {', '.join(code['changed'][:3])}")
    known = git("cat-file", "-t", code["commit"]) is not None
    return Finding(
        "code is a commit", True if known else None, code["commit"] + ("" if known else ", not in this clone")
    )


def _data(lineage: Lineage, lock: Any, deep: str | None) -> list[Finding]:
    """What the stages read and wrote lies in the DVC cache under its digest.

    deep: the version's tag; what its dvc.lock and *.dvc name is fetched first, and its bytes are hashed.
    """
    if deep is not None:
        _fetch(deep)
    cache = Path((_dvc("cache", "dir") or ".dvc/cache").strip())
    outs = {out["path"]: out["md5"] for body in lock["stages"].values() for out in body.get("outs", []) if "md5" in out}
    roots = {f"{one['root']} (raw data of {name})": one["dvc_md5"] for name, one in lineage["data"].items()}
    wanted = {**roots, **{path: md5 for path, md5 in outs.items() if path.startswith(("data/prompts", "models/"))}}
    return [_cached(path, md5, cache, deep is not None) for path, md5 in sorted(wanted.items())]


def _fetch(revision: str) -> None:
    """From the remote into the cache; what cannot be had is a finding's business."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with suppress(DvcException):
        Repo().fetch(revs=[revision], workspace=False)


def _cached(path: str, md5: str | None, cache: Path, deep: bool) -> Finding:
    claim = f"{path} in the cache"
    if md5 is None:
        return Finding(claim, False, "the statement has no digest of it")
    place = _object(cache, md5)
    if not place.exists():
        return Finding(claim, None, f"{md5} is not in this cache (dvc fetch)")
    if file_md5(place) != md5.removesuffix(".dir"):
        return Finding(claim, False, f"the cached {md5} has other bytes")
    entries = json.loads(place.read_text()) if md5.endswith(".dir") else []
    lost = [entry["relpath"] for entry in entries if not _object(cache, entry["md5"]).exists()]
    if lost:
        return Finding(
            claim, None, f"{len(lost)} of {len(entries)} files are not in this cache, {lost[0]} first (dvc fetch)"
        )
    bad = [entry["relpath"] for entry in entries if deep and file_md5(_object(cache, entry["md5"])) != entry["md5"]]
    if bad:
        return Finding(claim, False, f"{len(bad)} of {len(entries)} files have other bytes, {bad[0]} first")
    return Finding(claim, True, f"{md5}, {len(entries) or 1} files{' hashed' if deep else ''}")


def _object(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _dvc(*arguments: str) -> str | None:
    answer = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False)
    return answer.stdout if answer.returncode == 0 else None


def _at(values: Any, key: str) -> Any:
    if isinstance(values, dict) and key in values:
        return values[key]
    head, _, rest = key.partition(".")
    return _at(values.get(head), rest) if rest and isinstance(values, dict) else None


def _yaml(text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return {"stages": {}}
