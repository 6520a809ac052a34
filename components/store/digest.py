"""Digests of files and folders: SHA-256, and DVC's own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def file_sha256(path: Path) -> str:
    """Hexadecimal digest of the file's bytes, read in parts."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(folder: Path) -> dict[str, str]:
    """Digest of each file of the folder itself, by its name."""
    return {path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}


def file_md5(path: Path) -> str:
    """As file_sha256, by DVC's digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def dvc_digest(path: Path) -> str:
    """What dvc.lock names a file or a folder by."""
    return dvc_folder_digest(path) if path.is_dir() else file_md5(path)


def dvc_folder_digest(folder: Path) -> str:
    """DVC's digest of a folder: the MD5 of the JSON list of its files' MD5 and relative paths."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = [{"md5": file_md5(path), "relpath": path.relative_to(folder).as_posix()} for path in files]
    entries.sort(key=lambda entry: tuple(entry["relpath"].split("/")))
    text = json.dumps(entries, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"
