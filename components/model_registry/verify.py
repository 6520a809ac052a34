"""Is a version still what its statement says? Every claim is hashed again; nothing is assumed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from components.errors import RegistryError
from components.graph.dvc_lock import Lock, out_digests
from components.machine.git import git
from components.model_registry.cached import data_findings
from components.model_registry.claims import Finding, claim_findings
from components.model_registry.lineage_types import Lineage
from components.model_registry.mlflow_types import Version
from components.model_registry.registry import (
    KEY_SAID,
    STATEMENT_SAID,
    artifact,
    connect,
    find_version,
    package_folder,
    statement_of,
)
from components.model_registry.state_commit import git_tag, tag_exists, tag_says
from components.model_registry.statement import from_statement
from components.model_registry.subjects import (
    IMAGES_FILE,
    MODEL_FILES,
    POLICY,
    POLICY_FILES,
    STATEMENT_COPY,
    STATEMENT_FILE,
    package_digests,
)
from components.model_registry.yaml_text import yaml_values
from components.store.digest import dvc_folder_digest, file_sha256

UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)
"""What reading a statement raises that somebody has changed into another thing."""


def verify(reference: str, deep: bool = False) -> list[Finding]:
    """Findings on model files, statement, what it says, commit, data. Raises RegistryError for an unknown reference.

    deep: fetches what the cache lacks and hashes the data's own bytes, where else their names in the cache do.
    """
    version = find_version(connect(), reference)
    folder = package_folder(version)
    try:
        return _findings(version, folder, deep)
    except UNREADABLE as error:
        said = f"it cannot be read ({type(error).__name__}: {error})"
        return [_inside(version, folder), Finding("statement of the run", False, said)]


def _findings(version: Version, folder: Path, deep: bool) -> list[Finding]:
    lineage = from_statement(statement_of(version))
    lock, tag = lock_of(lineage), git_tag(version.name, version.version, lineage["key"])
    images = artifact(version, IMAGES_FILE).read_text()
    return [
        *_loaded(version, lineage, folder),
        _weights_of_lock(lock, folder / "artifacts" / POLICY),
        *claim_findings(version, lineage, lock, folder),
        _images(images, lineage),
        _commit(lineage),
        *data_findings(lineage, lock, image_list(images), tag if deep else None),
    ]


def refuse_altered(version: Version, folder: Path) -> None:
    """Raises RegistryError, with the first broken claim, where files that MLflow would load are not those registered.

    Loading a model runs the code that lies beside it in the registry: this is asked before.
    """
    try:
        findings = _loaded(version, from_statement(statement_of(version)), folder)
    except UNREADABLE as error:
        findings = [Finding("statement of the run", False, f"it cannot be read ({type(error).__name__}: {error})")]
    broken = [finding for finding in findings if finding.holds is False]
    if broken:
        raise RegistryError(
            f"{version.name} version {version.version} was altered in the registry ({broken[0].claim}: "
            f"{broken[0].seen}): it is not loaded; `lookout verify {version.version}` lists all that is broken"
        )


def _loaded(version: Version, lineage: Lineage, folder: Path) -> list[Finding]:
    """What decides which code and weights a load runs: the files, and the statement that names them."""
    tag = git_tag(version.name, version.version, lineage["key"])
    return [*_files(lineage, folder), _inside(version, folder), *_tag(version, lineage, tag)]


def lock_of(lineage: Lineage) -> Lock:
    """The embedded dvc.lock as plain values."""
    return yaml_values(lineage["state"]["dvc.lock"], {"stages": {}})


def image_list(text: str) -> list[str]:
    """SHA-256 of each training image; the names behind them are left out."""
    return list(dict.fromkeys(line.split(maxsplit=1)[0] for line in text.splitlines() if line.strip()))


def holds(findings: list[Finding]) -> bool:
    """Whether no claim is broken."""
    return all(finding.holds is not False for finding in findings)


def unseen(findings: list[Finding]) -> list[Finding]:
    """Claims that could not be looked at here: neither broken nor proven."""
    return [finding for finding in findings if finding.holds is None]


def _files(lineage: Lineage, folder: Path) -> list[Finding]:
    """Every file that MLflow would load, a finding each; where the statement names the policy's files only, the others
    are unseen."""
    there, findings = package_digests(folder), list[Finding]()
    wanted = {name: one for name, one in lineage["subjects"].items() if name.startswith(MODEL_FILES)}
    whole = f"{MODEL_FILES}MLmodel" in wanted
    for name in sorted(set(wanted) | set(there)):
        said, found = wanted.get(name), there.get(name)
        seen = f"sha256 {found[:16]}" if found else "the file is not there"
        if said is None:
            seen = "the statement does not name it"
        elif found is not None and found != said:
            seen += f", the statement says {said[:16]}"
        holds = None if said is None and not whole and not name.startswith(POLICY_FILES) else found == said
        findings.append(Finding(f"model file {name.removeprefix(MODEL_FILES)}", holds, seen))
    return findings


def _inside(version: Version, folder: Path) -> Finding:
    """The statement that travels inside the model is that of the run."""
    copy = folder / STATEMENT_COPY
    if not copy.exists():
        return Finding("statement inside the model", False, "it is not there")
    same = file_sha256(copy) == file_sha256(artifact(version, STATEMENT_FILE))
    return Finding("statement inside the model", same, "the run's own" if same else "it differs from the run's")


def _weights_of_lock(lock: Lock, folder: Path) -> Finding:
    """The registered files are the bytes that the embedded dvc.lock names."""
    wanted, found = out_digests(lock, "grpo").get("models/grpo"), dvc_folder_digest(folder)
    return Finding("weights are dvc.lock's", wanted == found, f"{found}, dvc.lock says {wanted}")


def _images(text: str, lineage: Lineage) -> Finding:
    digests = image_list(text)
    found = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return Finding("list of training images", found == lineage["images_sha256"], f"{len(digests)} images")


def _tag(version: Version, lineage: Lineage, tag: str) -> list[Finding]:
    """What git holds of the version: the key, the statement, its state and its commit, where nobody rewrites them."""
    named, stands = "statement is the one that was registered", "its params.yaml and dvc.lock stand on a commit"
    if not tag_exists(tag):
        lost = f"the tag {tag} is not in this repository (git fetch --tags)"
        return [Finding(named, None, lost), Finding(stands, None, lost)]
    key, digest = tag_says(tag, KEY_SAID), tag_says(tag, STATEMENT_SAID)
    found = file_sha256(artifact(version, STATEMENT_FILE))
    said = Finding(named, digest == found if digest else None, tag if digest else f"{tag} does not name its digest")
    if key and key != lineage["key"]:
        said = Finding(named, False, f"{tag} is of the lineage {key[:16]}, the statement of {lineage['key'][:16]}")
    elif digest and digest != found:
        said = Finding(named, False, f"sha256 {found[:16]}, {tag} says {digest[:16]}")
    wrong = [path for path, text in lineage["state"].items() if git("show", f"{tag}:{path}") != text]
    wrong += [] if (git("rev-parse", f"{tag}^") or "").strip() == lineage["code"]["commit"] else ["the commit"]
    return [said, Finding(stands, not wrong, f"{wrong[0]} differs at {tag}" if wrong else tag)]


def _commit(lineage: Lineage) -> Finding:
    code, commit = lineage["code"], lineage["code"]["commit"]
    if commit is None or not code["clean"]:
        return Finding("code is a commit", False, f"it was not committed: {', '.join(code['changed'][:3])}")
    known = git("cat-file", "-t", commit) is not None
    return Finding("code is a commit", True if known else None, commit + ("" if known else ", not in this clone"))
