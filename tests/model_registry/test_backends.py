"""What only servers can do: data from S3 in a fresh clone, passwords, going down in the middle, another machine."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import mlflow
import pytest

from components.errors import RegistryError
from components.model_registry import promote as promoting
from components.model_registry import register as registering
from components.model_registry.register import register_model
from components.model_registry.registry import alias_version, all_versions, connect
from components.operations.servers import mlflow_server, start, stop
from tests.support.backends import BUCKET, Backend, free_port, run_python
from tests.support.toy_version import commit, make_checkout, train
from tests.support.workspace import REPO

pytestmark = pytest.mark.slow
GRAPH = {
    "ingest": {"foreach": ["crowd"], "do": {"cmd": "ingest", "deps": ["data/raw/crowd"]}},
    "prompts": {"cmd": "prompts", "outs": [f"data/prompts/{name}.parquet" for name in ("sft", "grpo", "val", "test")]},
    "grpo": {"cmd": "grpo", "params": ["rewards"], "outs": ["models/grpo"]},
    "score": {
        "foreach": ["base", "sft", "grpo"],
        "do": {
            "cmd": "score",
            "outs": ["reports/scores/${item}/per_image.parquet"],
            "metrics": ["reports/scores/${item}/metrics.json"],
        },
    },
}


@pytest.fixture
def checkout(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_checkout(prepared, tmp_path / "checkout")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return folder


def in_dvc(folder: Path, backend: Backend) -> None:
    """The hand-made checkout's data in DVC for real: raw data added, outputs committed, all of it in S3."""
    (folder / ".gitignore").write_text("/models/\n/reports/\n/data/prompts/\n/data/validated/\n/data/manifests/\n")
    (folder / "dvc.yaml").unlink()
    (folder / "dvc.yaml").write_text(json.dumps({"stages": GRAPH}))
    for command in (("init", "-q"), ("add", "-q", "data/raw/crowd"), ("commit", "-q", "-f"),
                    ("remote", "add", "-d", "store", f"s3://{BUCKET}/dvc"),
                    ("remote", "modify", "store", "endpointurl", backend.s3)):  # fmt: skip
        answer = run_python(folder, "dvc", *command)
        assert answer.returncode == 0, answer.stderr


def test_what_one_machine_registers_is_pulled_and_proved_in_a_fresh_clone(
    checkout: Path, servers: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.empty()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", servers.tracking_uri)
    train(checkout, "one", 5)
    (checkout / "dvc.lock").unlink()
    in_dvc(checkout, servers)
    commit(checkout, "data and graph")
    register_model()
    assert run_python(checkout, "dvc", "push", "-q").returncode == 0
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", checkout, clone], check=True)
    monkeypatch.chdir(clone)
    elsewhere = {"LOOKOUT_HOME": str(tmp_path / "other"), "PYTHONPATH": str(REPO)}
    unseen = run_python(clone, "components.cli.main", "verify", "1", **elsewhere)
    assert "unseen  models/grpo in the cache" in unseen.stdout, unseen.stderr
    deep = run_python(clone, "components.cli.main", "verify", "@challenger", "--deep", **elsewhere)
    assert deep.returncode == 0, deep.stdout + deep.stderr
    assert "unseen" not in deep.stdout
    assert "files hashed" in deep.stdout
    assert run_python(clone, "dvc", "pull", "-q").returncode == 0
    assert (clone / "models/grpo/model.safetensors").read_bytes() == b"one"
    for verb in (("trace", "1"), ("used-by", "crowd"), ("promote", "1"), ("export", "1", str(tmp_path / "plain"))):
        answer = run_python(clone, "components.cli.main", *verb, **elsewhere)
        assert answer.returncode == 0, answer.stdout + answer.stderr
    assert (tmp_path / "plain/model.safetensors").read_bytes() == b"one"


def test_two_machines_that_promote_at_once_are_told(
    checkout: Path, servers: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.empty()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", servers.tracking_uri)
    for number, weights in enumerate(("one", "two"), start=1):
        train(checkout, weights, 4 * number)
        register_model()
    move = mlflow.MlflowClient.set_registered_model_alias

    def and_another_machine(self: Any, name: str, alias: str, version: str) -> None:
        move(self, name, alias, version)
        if alias == "champion":
            move(self, name, alias, "1")

    monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_alias", and_another_machine)
    with pytest.raises(RegistryError, match="another machine moved champion to version 1 at the same time"):
        promoting.promote("2", lambda *_: Path(), unseen_ok=True, reason="its data is in no cache")
    monkeypatch.undo()


def test_a_registry_that_goes_down_in_the_middle_leaves_nothing_half_done(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = mlflow_server(free_port(), f"sqlite:///{tmp_path / 'store.db'}", str(tmp_path / "artifacts"))
    folder = tmp_path / "servers"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    train(checkout, "one", 5)
    log_model = registering.log_packaged_model

    def down(*arguments: Any) -> Any:
        stop("mlflow", folder)
        return log_model(*arguments)

    try:
        start(server, folder)
        with monkeypatch.context() as patch, pytest.raises(RegistryError, match="does not answer or refuses") as caught:
            patch.setattr(registering, "log_packaged_model", down)
            register_model()
        assert "\n" not in str(caught.value)
        start(server, folder)
        client = connect()
        assert all_versions(client) == []
        assert register_model()["version"] == 1
        assert len(all_versions(client)) == 1
        assert alias_version(client, "lookout", "challenger").version == "1"
    finally:
        stop("mlflow", folder)


def test_a_server_that_wants_a_password_is_one_sentence(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "auth.ini"
    config.write_text(
        "[mlflow]\ndefault_permission = READ\nadmin_username = keeper\nadmin_password = a-long-password-1\n"
        f"database_uri = sqlite:///{tmp_path / 'users.db'}\nauthorization_function = "
        "mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(config))
    monkeypatch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY", "for a test")
    server = mlflow_server(free_port(), f"sqlite:///{tmp_path / 'store.db'}", str(tmp_path / "artifacts"),
                           "--app-name", "basic-auth")  # fmt: skip
    folder = tmp_path / "servers"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    start(server, folder)
    try:
        answer = run_python(checkout, "components.cli.main", "trace", "1")
        assert answer.returncode == 1
        (sentence,) = answer.stderr.strip().splitlines()
        assert sentence.startswith(f"error: the registry at {server.url} wants a name and a password")
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "keeper")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a-long-password-1")
        assert all_versions(connect()) == []
    finally:
        stop("mlflow", folder)


def test_a_source_that_a_client_made_up_becomes_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = mlflow_server(free_port(), f"sqlite:///{tmp_path / 'store.db'}", str(tmp_path / "artifacts"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    start(server, tmp_path / "servers")
    try:
        client = connect()
        client.create_registered_model("lookout")
        for source in ("/etc", "file:///etc", "s3://somewhere/else", "http://127.0.0.1/x"):
            with pytest.raises(mlflow.MlflowException, match=r"(?i)source"):
                client.create_model_version("lookout", source)
    finally:
        stop("mlflow", tmp_path / "servers")
        shutil.rmtree(tmp_path / "artifacts", ignore_errors=True)
