"""What a version's statement vouches for by SHA-256: files of the logged model, and artifacts of its run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from components.model_registry.mlflow_types import Client
from components.store.digest import file_sha256

STATEMENT_FILE = "statement.json"
IMAGES_FILE = "images.sha256"
POLICY = "grpo"
MODEL_FILES, POLICY_FILES, RUN_FILES = "model/", f"model/artifacts/{POLICY}/", "run/"
"""How subjects are named: files of the logged model, the policy's own among them, and artifacts of the run."""
SCORES = "reports/scores"
ARTIFACTS = (SCORES, IMAGES_FILE, "README.md")
"""Artifacts of the run that a gate, an index or an export reads."""
STATEMENT_COPY, META_FILE = f"artifacts/{STATEMENT_FILE}", "registered_model_meta"
"""The two files of a model that no statement can name: its own copy, and what MLflow writes when it downloads."""


def digests(place: Path, prefix: str) -> dict[str, str]:
    """SHA-256 of a file, or of every file below a folder, by `prefix` and path; a link is no file."""
    if place.is_file():
        return {prefix: file_sha256(place)}
    return {
        f"{prefix}/{path.relative_to(place).as_posix()}": "a link" if path.is_symlink() else file_sha256(path)
        for path in sorted(place.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def package_digests(folder: Path) -> dict[str, str]:
    """Every file of a downloaded model but for the two that no statement can name."""
    found = digests(folder, MODEL_FILES.rstrip("/"))
    return {
        name: one for name, one in found.items() if name.removeprefix(MODEL_FILES) not in (STATEMENT_COPY, META_FILE)
    }


def logged_digests(client: Client, model_id: str, policy: dict[str, str]) -> dict[str, str]:
    """Every file of a model that was logged just now; `policy`: its weights' folder, which is not downloaded again."""
    from mlflow.artifacts import download_artifacts

    place = client.get_logged_model(model_id).artifact_location
    found = {f"{POLICY_FILES}{name}": digest for name, digest in policy.items()}
    with tempfile.TemporaryDirectory() as folder:
        for path in _listed(client, model_id):
            if f"{MODEL_FILES}{path}" not in found:
                copy = download_artifacts(artifact_uri=f"{place}/{path}", dst_path=folder)
                found[f"{MODEL_FILES}{path}"] = file_sha256(Path(copy))
    return found


def _listed(client: Client, model_id: str, folder: str | None = None) -> Iterator[str]:
    for entry in client.list_logged_model_artifacts(model_id, folder):
        if entry.is_dir:
            yield from _listed(client, model_id, entry.path)
        else:
            yield entry.path
