"""Every test has a LOOKOUT_HOME of its own and talks to nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from components.stages import TELEMETRY_OFF

os.environ.update(TELEMETRY_OFF | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"})


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LOOKOUT_HOME in the test's own folder: no test sees another's registry, checkpoints or lock."""
    home = tmp_path / "home"
    monkeypatch.setenv("LOOKOUT_HOME", str(home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return home
