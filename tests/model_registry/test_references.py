"""One way to name a version: every verb reads every spelling, in the profile's own model."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, TEMPORARILY_UNAVAILABLE
from mlflow.store.entities.paged_list import PagedList
from PIL import Image
from ruamel.yaml import YAML
from typer.testing import CliRunner

from components.cli.main import app, main
from components.errors import RegistryError
from components.model_registry.registry import connect, find_version, profile_model
from components.store.digest import file_sha256
from tests.support.workspace import REPO

RUN, OTHER_RUN = "a" * 32, "b" * 32
SPELLINGS = ("2", "@champion", "models:/people/2", "models:/people@champion", "people/2", RUN, f"runs:/{RUN}/model",
             "models/kept")  # fmt: skip
VERBS = ("trace {}", "trace {} --json", "verify {}", "diff {} {}", "export {} out", "rescore {}", "reproduce {}",
         "promote {} --dry-run", "promote {}", "predict --model {} picture.png")  # fmt: skip


class FakeClient:
    """Two models with a version 2 each, as MLflow's client tells of them."""

    def __init__(self, weights: str) -> None:
        tags = {"lookout.key": "k", "lookout.weights": weights}
        self.versions = [
            SimpleNamespace(name=name, version="2", run_id=run, tags=own, creation_timestamp=1, source="")
            for name, run, own in (("people", RUN, tags), ("lookout", OTHER_RUN, {"lookout.key": "other"}))
        ]

    def get_experiment_by_name(self, _name: str) -> Any:
        return SimpleNamespace(experiment_id="1")

    def get_model_version(self, name: str, number: str) -> Any:
        return self._one(lambda version: (version.name, version.version) == (name, number))

    def get_model_version_by_alias(self, name: str, alias: str) -> Any:
        return self._one(lambda version: (version.name, alias) == (name, "champion"))

    def search_model_versions(self, query: str = "", **_named: Any) -> Any:
        return PagedList([one for one in self.versions if "run_id" not in query or one.run_id in query], None)

    def _one(self, wanted: Any) -> Any:
        found = [version for version in self.versions if wanted(version)]
        if not found:
            raise MlflowException("not found", RESOURCE_DOES_NOT_EXIST)
        return found[0]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """params.yaml of the model `people`, and a registry that says which version it was asked for."""
    monkeypatch.chdir(tmp_path)
    params = YAML(typ="safe", pure=True).load((REPO / "params.yaml").read_text())
    params["register"]["model_name"] = "people"
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)
    for name in ("models/kept/model.safetensors", "data/prompts/test.parquet"):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_bytes(name.encode())
    Image.new("RGB", (40, 40)).save("picture.png")
    client = FakeClient(file_sha256(Path("models/kept/model.safetensors")))

    def reached(uri: str = "", run_id: str = "", **_named: Any) -> Any:
        named = {one.run_id: f"models:/{one.name}/{one.version}" for one in client.versions}
        raise RegistryError(f"reached {uri or named[run_id]}")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(mlflow, "MlflowClient", lambda *_: client)
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", reached)
    monkeypatch.setattr(mlflow.pyfunc, "load_model", reached)
    return tmp_path


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_reads_every_spelling_in_the_profiles_model(checkout: Path, verb: str) -> None:
    for spelling in SPELLINGS:
        answer = CliRunner().invoke(app, verb.format(spelling, spelling).split())
        said = f"{answer.output} {answer.exception}"
        assert "reached models:/people/2" in said or "models:/people/2 is champion" in said, (spelling, said)


@pytest.mark.parametrize("verb", VERBS)
def test_what_names_no_version_is_one_sentence_of_every_verb(checkout: Path, verb: str) -> None:
    for spelling, sentence in (("7", "7 is not in the registry"), ("nothing", "'nothing' is no reference"),
                               ("c" * 32, "no registered version belongs to the run"),
                               ("data/prompts", "no registered version has its 0 weight files")):  # fmt: skip
        answer = CliRunner().invoke(app, verb.format(spelling, spelling).split())
        assert isinstance(answer.exception, RegistryError), answer.output
        assert sentence in str(answer.exception)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_once_which_version_a_short_spelling_names(
    checkout: Path, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    for spelling in ("@champion", "models:/people/2"):
        caplog.clear()
        with caplog.at_level("INFO", "lookout.reference"):
            CliRunner().invoke(app, verb.format(spelling, spelling).split())
        said = [] if spelling == "models:/people/2" else [f"{spelling} is models:/people/2"] * verb.count("{}")
        assert caplog.messages == said, spelling


def test_what_a_reference_names_is_said_beside_the_answer(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["lookout", "promote", "2", "--json"])
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest's own would keep the command from adding one
    with pytest.raises(SystemExit):
        main()
    answer = capsys.readouterr()
    assert json.loads(answer.out)["version"] == "models:/people/2"
    assert answer.err == "2 is models:/people/2\n"


def test_a_number_that_is_not_there_is_missed_in_the_profiles_model(checkout: Path) -> None:
    with pytest.raises(RegistryError, match="7 is not in the registry under the model people"):
        find_version(connect(), "7")


def test_a_folder_of_a_versions_name_does_not_take_its_place(checkout: Path) -> None:
    for name in ("2", "@champion"):
        Path(name).mkdir()
        assert find_version(connect(), name).name == "people"


def test_without_params_the_model_is_lookout(checkout: Path) -> None:
    assert profile_model() == "people"
    Path("params.yaml").unlink()
    assert find_version(connect(), "2").run_id == OTHER_RUN


def test_a_store_that_does_not_answer_is_never_nothing_there(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(*_arguments: Any) -> Any:
        raise MlflowException("(sqlite3.OperationalError) database is locked", TEMPORARILY_UNAVAILABLE)

    monkeypatch.setattr(FakeClient, "get_model_version", failed)
    monkeypatch.setattr(FakeClient, "get_model_version_by_alias", failed)
    with pytest.raises(RegistryError, match="does not answer or refuses"):
        find_version(connect(), "2")
    with pytest.raises(RegistryError, match="does not answer or refuses"):
        CliRunner().invoke(app, ["promote", RUN, "--dry-run"], catch_exceptions=False)
