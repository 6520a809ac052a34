"""What deploy/compose.yaml starts, without containers: PostgreSQL, an S3 store, MLflow, Prefect and a worker."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg2
import pytest
import yaml

from tests.support.backends import real_backend
from tests.support.running import copy_of, servers_up
from tests.support.workspace import REPO

DEPLOY = REPO / "deploy"


@pytest.mark.slow
def test_a_run_is_trained_and_registered_there(finished: tuple[Path, str], tmp_path: Path) -> None:
    folder = copy_of(finished[0], tmp_path / "checkout")
    shutil.rmtree(folder / ".lookout")
    with real_backend(tmp_path / "servers") as backend:
        connection = psycopg2.connect(backend.database)
        connection.autocommit = True  # a database is not made within a transaction
        connection.cursor().execute("create database prefect")
        connection.close()
        database = backend.database.replace("postgresql:", "postgresql+asyncpg:").replace("/postgres", "/prefect")
        with servers_up(
            folder, PREFECT_API_DATABASE_CONNECTION_URL=database, MLFLOW_TRACKING_URI=backend.tracking_uri
        ) as running:
            assert "mlflow" not in running.lookout("status")  # it is another's to run
            run = running.run(overrides=["rewards.weights.looking=0.45"], promote="if-better")
            assert running.wait(run) == ("COMPLETED", "models:/lookout/1 is champion; before: nobody")
            assert "holds   statement inside the model" in running.lookout("verify", "@champion")
    assert not (folder / ".lookout/prefect/prefect.db").exists()


def test_the_containers_are_published_on_loopback_and_hold_no_password() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert set(services) == {"postgres", "minio", "bucket", "mlflow", "prefect", "worker"}
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        secrets = {name: value for name, value in service.get("environment", {}).items() if "PASSWORD" in name}
        assert all(value.startswith("${") for value in secrets.values())
    for one in ("mlflow", "prefect", "postgres", "bucket"):
        assert any(one in service.get("depends_on", {}) for service in services.values())
