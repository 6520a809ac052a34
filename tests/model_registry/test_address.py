"""Where the registry lies, and the paths that it cannot lie in."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.errors import RegistryError
from components.model_registry.address import mlflow_uri


@pytest.mark.parametrize(("name", "odd"), [("a%20b", "%"), ("a?b", "?"), ("50%?", "% and ?")])
def test_a_path_that_no_url_can_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, odd: str
) -> None:
    monkeypatch.setenv("LOOKOUT_HOME", str(tmp_path / name))
    with pytest.raises(RegistryError) as caught:
        mlflow_uri()
    assert f"{name} has {odd} in its path" in str(caught.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert mlflow_uri() == "http://127.0.0.1:5000"


def test_spaces_and_letters_of_any_language_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKOUT_HOME", str(tmp_path / "a b-é#1"))
    assert mlflow_uri() == f"sqlite:///{tmp_path}/a b-é#1/mlflow.db"
