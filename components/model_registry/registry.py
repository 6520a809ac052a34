"""The MLflow registry: how it is reached, what a reference means, one writer at a time."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.errors import RegistryError
from components.machine.home import lookout_home
from components.model_registry.address import mlflow_uri
from components.model_registry.local_store import ready_store, ready_to_write, sentence_of, wait_for
from components.model_registry.mlflow_types import Client, Version, mlflow_module
from components.model_registry.subjects import POLICY, STATEMENT_FILE
from components.params.reading import PARAMS_FILE, load_section
from components.params.register import RegisterParams
from components.policy.registered import REGISTRY

log = logging.getLogger("lookout.reference")
EXPERIMENT = "lookout"
KEY_TAG = "lookout.key"
KEY_SAID, STATEMENT_SAID = "Lookout-Key", "Lookout-Statement"
"""What the commit of a version's git tag says: its lineage's key, and the SHA-256 of its statement."""
RETRIES, TIMEOUT_S = "3", "20"
WRITER_WAIT_S = 1800.0
"""As long as it may take to register 7 GB of weights on a slow disk, or to score a champion again."""
ANSWERS = ("RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE", "NOT_FOUND")
"""MLflow's codes for what a caller asked amiss; any other is a store that does not do its work."""
_REFERENCE = re.compile(r"(?:models:/)?(?:(?P<name>[^/@]+))?(?:/(?P<version>\d+)|@(?P<alias>[\w-]+))")
_RUN = re.compile(r"(?:runs:/)?([0-9a-f]{32})(?:/.*)?")
_SHORT = re.compile(r"\d+$|@|models:/")
"""A version's own spellings: a folder of such a name does not take its place."""


class _Explained:
    """MLflow's client, whose failures are of our tree: what is not there stays an MlflowException, all else is one
    sentence.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method):
            return method

        def call(*arguments: Any, **named: Any) -> Any:
            with explained():
                return method(*arguments, **named)

        return call


@contextmanager
def explained() -> Generator[None]:
    """Around a call of MLflow's: a store that is locked, damaged or does not answer is a RegistryError.

    What MLflow says of a name that is not there, or there already, passes.
    """
    import mlflow
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except mlflow.MlflowException as error:
        if error.error_code in ANSWERS:
            raise
        raise _one_sentence(error) from None
    except SQLAlchemyError as error:
        raise _one_sentence(error) from None


def connect() -> Client:
    """An MLflow client on the configured store; the store is made where it is the local default.

    Raises RegistryError, after a bounded wait, where the store is held, damaged, does not answer or wants a password.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", RETRIES)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", TIMEOUT_S)
    import mlflow

    ready_store()
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # our sentence says it without a traceback
    mlflow.set_tracking_uri(mlflow_uri())
    try:
        with explained():
            client = _client()
            if client.get_experiment_by_name(EXPERIMENT) is None:
                _make_experiment(client)
    except mlflow.MlflowException as error:
        raise _one_sentence(error) from None
    return client


def _client() -> Any:
    return _Explained(mlflow_module().MlflowClient())


def _make_experiment(client: Client) -> None:
    import mlflow

    local = mlflow_uri().startswith("sqlite:")  # a server has a place of its own
    place = (lookout_home() / "mlartifacts").as_uri() if local else None
    try:
        client.create_experiment(EXPERIMENT, artifact_location=place)
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process makes it at the same time
            raise


def _one_sentence(error: Exception) -> RegistryError:
    said = " ".join(str(error).split())
    of_the_file = sentence_of(said)
    if of_the_file is not None:
        return RegistryError(of_the_file)
    if "401" in said or "UNAUTHENTICATED" in said:
        return RegistryError(
            f"the registry at {mlflow_uri()} wants a name and a password, or other ones: set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    return RegistryError(
        f"the registry at {mlflow_uri()} does not answer or refuses ({said[:160]}); what was begun is finished by the "
        "same command"
    )


@contextmanager
def only_writer() -> Generator[None]:
    """One register, promote or rollback at a time on this machine, with a backup of the local store before it.

    A second one waits for WRITER_WAIT_S, and says for whom. Raises RegistryError where that is not enough, and where
    the registry ceases to answer meanwhile.
    """
    import mlflow

    with (lookout_home() / "registry.lock").open("a+") as file:
        wait_for(file, WRITER_WAIT_S, "the registry")
        ready_to_write()
        try:
            with explained():
                yield
        except mlflow.MlflowException as error:
            raise _one_sentence(error) from error


def parse_reference(reference: str) -> tuple[str, str | None, str | None]:
    """(name, version, alias) of a reference; the name is empty in `1` and `@ALIAS`. Raises RegistryError."""
    text = f"/{reference}" if reference.isdecimal() else reference
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise RegistryError(
            f"{reference!r} is no reference and no folder here; want 1, @champion, models:/lookout/1, "
            "models:/lookout@challenger, a run's ID or a model's folder"
        )
    return match["name"] or "", match["version"], match["alias"]


def find_version(client: Client, reference: str) -> Version:
    """The model version that any verb's reference names: the one reader of them, which says what it found.

    `1` and `@ALIAS` are of `profile_model`; models:/NAME/1 and models:/NAME@ALIAS name theirs; a run's ID, alone or in
    runs:/ID/model, as MLflow's pages show it; a folder with the weights of a version. Raises RegistryError where the
    reference or the version is not there.
    """
    version = _found(client, reference)
    if uri_of(version) != reference:
        log.info("%s is %s", reference, uri_of(version))
    return version


def _found(client: Client, reference: str) -> Version:
    import mlflow

    run = _RUN.fullmatch(reference)
    if run is not None:
        return _version_of_run(client, run[1])
    if not _SHORT.match(reference) and Path(reference).is_dir():
        return _version_of_folder(client, Path(reference))
    own, version, alias = parse_reference(reference)
    name = own or profile_model()
    try:
        return client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, version)
    except mlflow.MlflowException as error:
        raise RegistryError(
            f"{reference} is not in the registry{'' if own else f' under the model {name}'} ({error.message}); "
            "`lookout register` makes one"
        ) from None


def profile_model() -> str:
    """The model of every bare `1` and `@ALIAS`: register.model_name of the params.yaml here; lookout without one."""
    return load_section(RegisterParams).model_name if PARAMS_FILE.exists() else "lookout"


def uri_of(version: Version) -> str:
    """What MLflow calls a version: models:/NAME/NUMBER."""
    return f"{REGISTRY}{version.name}/{version.version}"


def _version_of_run(client: Client, run: str) -> Version:
    versions = client.search_model_versions(f"run_id = '{run}'")
    if not versions:
        raise RegistryError(f"no registered version belongs to the run {run}")
    return max(versions, key=lambda version: int(version.creation_timestamp))


def _version_of_folder(client: Client, folder: Path) -> Version:
    from components.store.digest import file_sha256

    digests = [file_sha256(path) for path in sorted(folder.rglob("*.safetensors"))]
    for version in all_versions(client):
        if digests and version.tags.get("lookout.weights") == ",".join(digests):
            return version
    raise RegistryError(f"{folder}: no registered version has its {len(digests)} weight files, by SHA-256")


def all_versions(client: Client) -> list[Version]:
    """Every version that carries a lineage, newest first."""
    return [version for version in registered_versions(client) if KEY_TAG in version.tags]


def registered_versions(client: Client) -> list[Version]:
    """Every version of every model, whoever registered it, newest first."""
    found: list[Version] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(max_results=1000, page_token=token, order_by=["creation_timestamp DESC"])
        found += page
        token = page.token
        if not token:
            return found


def version_with_key(client: Client, name: str, key: str) -> Version | None:
    """The version with this lineage key, None where there is none."""
    found = client.search_model_versions(f"name = '{name}' and tags.`{KEY_TAG}` = '{key}'")
    return min(found, key=lambda version: int(version.version)) if found else None


def alias_version(client: Client, name: str, alias: str) -> Version | None:
    """The version that an alias names, None where there is none."""
    import mlflow

    try:
        return client.get_model_version_by_alias(name, alias)
    except mlflow.MlflowException:
        return None


def statement_of(version: Version) -> dict[str, Any]:
    """The version's statement. Raises RegistryError where its run does not hold one."""
    return json.loads(artifact(version, STATEMENT_FILE).read_text())


def artifact(version: Version, path: str) -> Path:
    """A local copy of an artifact of the version's run, a file or a folder. Raises RegistryError."""
    import mlflow
    from mlflow.artifacts import download_artifacts

    try:
        with explained():
            return Path(download_artifacts(run_id=version.run_id, artifact_path=path))
    except (mlflow.MlflowException, OSError) as error:
        raise RegistryError(
            f"{version.name} version {version.version}: its run holds no {path} ({' '.join(str(error).split())[:120]})"
        ) from None


def model_folder(version: Version) -> Path:
    """A local copy of the version's weights, tokenizer and processor. Raises RegistryError."""
    return package_folder(version) / "artifacts" / POLICY


def package_folder(version: Version) -> Path:
    """A local copy of all that MLflow loads: the policy's folder, code, MLmodel. Raises RegistryError."""
    import mlflow
    from mlflow.artifacts import download_artifacts

    try:
        with explained():
            return Path(download_artifacts(uri_of(version)))
    except (mlflow.MlflowException, OSError) as error:
        said = " ".join(str(error).split())[:120]
        raise RegistryError(f"{version.name} version {version.version}: its files cannot be had ({said})") from None
