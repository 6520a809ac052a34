"""Every test has a LOOKOUT_HOME of its own and talks to nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from components.stages import QUIET

os.environ.update(QUIET | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"})


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LOOKOUT_HOME in the test's own folder: no test sees another's registry, checkpoints or lock."""
    home = tmp_path / "home"
    monkeypatch.setenv("LOOKOUT_HOME", str(home))
    # MLflow itself writes this variable: set before it is deleted, it is taken away again behind the test
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    return home


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose data, base policy and prompts are made; tests read it and do not change it."""
    from tests.workspace import DATA_STAGES, make_workspace, run_stage

    folder = make_workspace(tmp_path_factory.mktemp("prepared") / "workspace")
    for stage, *arguments in DATA_STAGES:
        run_stage(folder, stage, *arguments)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A checkout after one run of the flow, and what the flow said; minutes long."""
    from tests.test_end_to_end import checkout, run

    folder = checkout(tmp_path_factory.mktemp("end-to-end") / "checkout")
    answer = run(folder, "flows.retrain")
    return folder, answer.stdout + answer.stderr
