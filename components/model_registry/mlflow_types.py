"""What is called and read of MLflow, whose own types have holes; MLflow itself is imported where it is called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol


class Version(Protocol):
    """A registered version."""

    name: str
    version: int | str  # a number from a database, text from a server
    run_id: str
    tags: dict[str, str]
    description: str | None
    source: str | None
    creation_timestamp: int


class Versions(Protocol):
    """A page of versions."""

    token: str | None

    def __iter__(self) -> Iterator[Version]: ...
    def __len__(self) -> int: ...


class Experiment(Protocol):
    experiment_id: str


class RunInfo(Protocol):
    run_id: str
    experiment_id: str
    artifact_uri: str
    status: str
    start_time: int


class RunData(Protocol):
    params: dict[str, str]
    metrics: dict[str, float]


class Run(Protocol):
    info: RunInfo
    data: RunData


class Entry(Protocol):
    """A file or folder among artifacts."""

    path: str
    is_dir: bool


class LoggedModel(Protocol):
    source_run_id: str | None
    artifact_location: str


class ModelInfo(Protocol):
    """A model that was logged just now."""

    model_id: str
    model_uri: str


class Client(Protocol):
    """The calls of MlflowClient that Lookout makes."""

    def get_experiment_by_name(self, name: str) -> Experiment | None: ...
    def create_experiment(self, name: str, artifact_location: str | None) -> str: ...
    def search_runs(self, experiment_ids: list[str], *, max_results: int) -> Sequence[Run]: ...
    def get_run(self, run_id: str) -> Run: ...
    def delete_run(self, run_id: str) -> None: ...
    def log_batch(self, run_id: str, *, metrics: Sequence[Any]) -> object: ...
    def log_inputs(self, run_id: str, datasets: Sequence[Any]) -> None: ...
    def log_text(self, run_id: str, text: str, artifact_file: str) -> None: ...
    def list_artifacts(self, run_id: str) -> list[Entry]: ...
    def get_logged_model(self, model_id: str) -> LoggedModel: ...
    def list_logged_model_artifacts(self, model_id: str, path: str | None) -> list[Entry]: ...
    def log_model_artifact(self, model_id: str, local_path: str, artifact_path: str) -> None: ...
    def create_registered_model(self, name: str, *, description: str) -> object: ...
    def get_model_version(self, name: str, version: str | None) -> Version: ...
    def get_model_version_by_alias(self, name: str, alias: str) -> Version: ...
    def search_model_versions(
        self,
        filter_string: str = ...,
        *,
        max_results: int = ...,
        order_by: list[str] = ...,
        page_token: str | None = ...,
    ) -> Versions: ...
    def update_model_version(self, name: str, version: int | str, description: str) -> object: ...
    def set_model_version_tag(self, name: str, version: int | str, key: str, value: str) -> None: ...
    def delete_model_version_tag(self, name: str, version: int | str, key: str) -> None: ...
    def set_registered_model_alias(self, name: str, alias: str, version: int | str) -> None: ...


def mlflow_module() -> Any:
    """MLflow, for the calls whose parameters it does not type."""
    return import_module("mlflow")
