"""What deploy/compose.yaml starts. That a run is trained and registered there is seen by test_watch_data.py."""

from __future__ import annotations

import yaml

from tests.support.workspace import REPO


def test_the_containers_are_published_on_loopback_and_hold_no_password() -> None:
    services = yaml.safe_load((REPO / "deploy/compose.yaml").read_text())["services"]
    assert set(services) == {"postgres", "minio", "bucket", "mlflow", "prefect", "worker"}
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        secrets = {name: value for name, value in service.get("environment", {}).items() if "PASSWORD" in name}
        assert all(value.startswith("${") for value in secrets.values())
    for one in ("mlflow", "prefect", "postgres", "bucket"):
        assert any(one in service.get("depends_on", {}) for service in services.values())
