"""Does the data that a version names lie in the DVC cache, and are its bytes those that were trained on?"""

from __future__ import annotations

import json
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from components.graph.dvc_lock import Lock, out_digests
from components.machine.dvc import run_dvc
from components.model_registry.claims import Finding
from components.model_registry.lineage_types import Lineage
from components.store.digest import file_md5, file_sha256


def data_findings(lineage: Lineage, lock: Lock, images: list[str], deep: str | None) -> list[Finding]:
    """What the stages read and wrote lies in the DVC cache under its digest.

    deep: the version's tag; what its dvc.lock and *.dvc name is fetched first, its bytes are hashed, and every training
    image (SHA-256 in `images`) is looked for among them.
    """
    if deep is not None:
        _fetch(deep)
    cache = _cache()
    roots = {f"{one['root']} (raw data of {name})": one["dvc_md5"] for name, one in lineage["data"].items()}
    wanted = {
        **roots,
        **{path: md5 for path, md5 in out_digests(lock).items() if path.startswith(("data/prompts", "models/"))},
    }
    findings = [_cached(path, md5, cache, deep is not None) for path, md5 in sorted(wanted.items())]
    return findings if deep is None else [*findings, _trained_on(images, list(roots.values()), cache)]


def kept_file(path: Path, md5: str | None) -> Path | None:
    """The file with this MD5: as it lies here, else in the DVC cache; None where neither has it."""
    if path.is_file() and file_md5(path) == md5:
        return path
    place = _object(_cache(), md5) if md5 else None
    return place if place and place.is_file() and file_md5(place) == md5 else None


def _cache() -> Path:
    return Path(run_dvc("cache", "dir").stdout.strip() or ".dvc/cache")


def _trained_on(images: list[str], roots: list[str | None], cache: Path) -> Finding:
    """The images that training read are files of the raw data: not others that lay in the cache meanwhile."""
    claim = "training images are the raw data's"
    objects = {md5 for root in roots if root for md5 in _objects(cache, root)}
    places = [_object(cache, md5) for md5 in sorted(objects)]
    found = {file_sha256(place) for place in places if place.exists()}
    lost = [digest for digest in images if digest not in found]
    if not lost:
        return Finding(claim, True, f"{len(images)} images hashed")
    seen = f"{len(lost)} of {len(images)} images are not among the raw data's files, {lost[0][:16]} first"
    return Finding(claim, False if objects and all(place.exists() for place in places) else None, seen)


def _objects(cache: Path, md5: str) -> list[str]:
    place = _object(cache, md5)
    if not md5.endswith(".dir") or not place.exists():
        return [md5]
    return [entry["md5"] for entry in json.loads(place.read_text())]


def _fetch(revision: str) -> None:
    """From the remote into the cache; what cannot be had is a finding's business."""
    with suppress(import_module("dvc.exceptions").DvcException):
        import_module("dvc.repo").Repo().fetch(revs=[revision], workspace=False)


def _cached(path: str, md5: str | None, cache: Path, deep: bool) -> Finding:
    claim = f"{path} in the cache"
    if md5 is None:
        return Finding(claim, False, "the statement has no digest of it")
    place = _object(cache, md5)
    if not place.exists():
        return Finding(claim, None, f"{md5} is not in this cache (dvc fetch)")
    if file_md5(place) != md5.removesuffix(".dir"):
        return Finding(claim, False, f"the cached {md5} has other bytes")
    entries: list[dict[str, str]] = json.loads(place.read_text()) if md5.endswith(".dir") else []
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
