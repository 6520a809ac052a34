"""The MLflow registry: how it is reached, what a reference means, one writer at a time."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.errors import RegistryError
from components.home import lookout_home, mlflow_uri
from components.store.atomic import atomic_file

EXPERIMENT = "lookout"
REGISTRY = "models:/"
"""What a reference to a registered version begins with."""
STATEMENT_FILE = "statement.json"
IMAGES_FILE = "images.sha256"
KEY_TAG = "lookout.key"
RETRIES, TIMEOUT_S = "3", "20"
_REFERENCE = re.compile(r"(?:models:/)?(?:(?P<name>[^/@]+))?(?:/(?P<version>\d+)|@(?P<alias>[\w-]+))")
_RUN = re.compile(r"[0-9a-f]{32}")


def git_tag(name: str, number: int | str) -> str:
    """The git tag of a version: its params.yaml, dvc.lock and *.dvc files on a commit."""
    return f"{name}/v{number}"


def connect() -> Any:
    """An MLflow client on the configured store; the store is made where it is the local default.

    Raises RegistryError, after a bounded number of tries, where a server does not answer or wants a password.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", RETRIES)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", TIMEOUT_S)
    import mlflow

    _make_store()
    mlflow.set_tracking_uri(mlflow_uri())
    client = mlflow.MlflowClient()
    try:
        if client.get_experiment_by_name(EXPERIMENT) is None:
            local = mlflow_uri().startswith("sqlite:")  # a server has a place of its own
            place = (lookout_home() / "mlartifacts").as_uri() if local else None
            client.create_experiment(EXPERIMENT, artifact_location=place)
    except mlflow.MlflowException as error:
        raise _one_sentence(error) from None
    return client


def _one_sentence(error: Exception) -> RegistryError:
    said = " ".join(str(error).split())
    if "401" in said or "UNAUTHENTICATED" in said:
        return RegistryError(
            f"the registry at {mlflow_uri()} wants a name and a password, or other ones: set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    return RegistryError(
        f"the registry at {mlflow_uri()} does not answer or refuses ({said[:160]}); what was begun is finished by the "
        "same command"
    )


def _make_store() -> None:
    """The sqlite file with all its tables, or none: MLflow cannot go on with one that a kill has left half made."""
    uri = mlflow_uri()
    target = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or target.exists():
        return
    import mlflow

    with (lookout_home() / "store.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return
        with atomic_file(target) as partial:
            partial.unlink()
            mlflow.MlflowClient(f"sqlite:///{partial}").search_experiments()


@contextmanager
def only_writer() -> Iterator[None]:
    """One register, promote or rollback at a time on this machine.

    Raises RegistryError where another is at it, and where the registry ceases to answer meanwhile.
    """
    import mlflow

    with (lookout_home() / "registry.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read().strip() or "another process"
            raise RegistryError(
                f"the registry is being changed on this machine by {who}; run the command again"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        try:
            yield
        except mlflow.MlflowException as error:
            raise _one_sentence(error) from error


def parse_reference(reference: str, default_name: str) -> tuple[str, str | None, str | None]:
    """(name, version, alias) of a reference. Raises RegistryError where it is none."""
    text = f"/{reference}" if reference.isdigit() else reference
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise RegistryError(f"{reference!r} is no reference; want models:/lookout/1, models:/lookout@challenger or 1")
    return match["name"] or default_name, match["version"], match["alias"]


def find_version(client: Any, reference: str, default_name: str = "lookout") -> Any:
    """The model version of models:/NAME/VERSION, models:/NAME@ALIAS, @ALIAS, a number, a run's ID, or a model's folder.

    Raises RegistryError where the reference or the version is not there.
    """
    import mlflow

    if _RUN.fullmatch(reference):
        found = client.search_model_versions(f"run_id = '{reference}'")
        if not found:
            raise RegistryError(f"no registered version belongs to the run {reference}")
        return found[0]
    if Path(reference).is_dir():
        return _version_of_folder(client, Path(reference))
    name, version, alias = parse_reference(reference, default_name)
    try:
        return client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, version)
    except mlflow.MlflowException as error:
        raise RegistryError(
            f"{reference} is not in the registry ({error.message}); `lookout register` makes one"
        ) from None


def _version_of_folder(client: Any, folder: Path) -> Any:
    from components.store.digest import file_sha256

    digests = [file_sha256(path) for path in sorted(folder.rglob("*.safetensors"))]
    for version in all_versions(client):
        if digests and version.tags.get("lookout.weights") == ",".join(digests):
            return version
    raise RegistryError(f"{folder}: no registered version has its {len(digests)} weight files, by SHA-256")


def all_versions(client: Any) -> list[Any]:
    """Every version that carries a lineage, newest first."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(max_results=1000, page_token=token, order_by=["creation_timestamp DESC"])
        found += [version for version in page if KEY_TAG in version.tags]
        token = page.token
        if not token:
            return found


def version_with_key(client: Any, name: str, key: str) -> Any:
    """The version with this lineage key, None where there is none."""
    found = client.search_model_versions(f"name = '{name}' and tags.`{KEY_TAG}` = '{key}'")
    return min(found, key=lambda version: int(version.version)) if found else None


def alias_version(client: Any, name: str, alias: str) -> Any:
    """The version that an alias names, None where there is none."""
    import mlflow

    try:
        return client.get_model_version_by_alias(name, alias)
    except mlflow.MlflowException:
        return None


def statement_of(version: Any) -> dict[str, Any]:
    """The version's statement. Raises RegistryError where its run does not hold one."""
    return json.loads(artifact(version, STATEMENT_FILE).read_text())


def artifact(version: Any, path: str) -> Path:
    """A local copy of an artifact of the version's run, a file or a folder. Raises RegistryError."""
    import mlflow

    try:
        return Path(mlflow.artifacts.download_artifacts(run_id=version.run_id, artifact_path=path))
    except (mlflow.MlflowException, OSError) as error:
        raise RegistryError(
            f"{version.name} version {version.version}: its run holds no {path} ({' '.join(str(error).split())[:120]})"
        ) from None


def model_folder(version: Any) -> Path:
    """A local copy of the version's weights, tokenizer and processor. Raises RegistryError."""
    import mlflow

    try:
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}"))
    except (mlflow.MlflowException, OSError) as error:
        said = " ".join(str(error).split())[:120]
        raise RegistryError(f"{version.name} version {version.version}: its files cannot be had ({said})") from None
    policies = [path for path in (folder / "artifacts").iterdir() if path.is_dir()]
    return policies[0]
