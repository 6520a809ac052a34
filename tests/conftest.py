"""Every test has a LOOKOUT_HOME of its own and talks to nobody."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.machine.quiet import QUIET

os.environ.update(QUIET | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"})
TOGETHER = {"PostgreSQL and S3": "servers", "test_backends.py": "servers", "test_processes.py": "processes"}
"""What an ID has in it -> tests that keep to one worker: the servers are started once, or each takes two processes."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadscope`: any test on any worker but for those of TOGETHER, which come first.

    xdist's own groups (`--dist loadgroup`) have no effect with this pytest, which does not let an ID be changed.
    """
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((group for words, group in TOGETHER.items() if words in nodeid), nodeid)

    return Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One test that has the finished checkout made comes first, those that would wait for it meanwhile last.

    Of these the flows come first, each minutes long: what is left when one worker has nothing more to do is short.
    """
    waiting = [item for item in items if "finished" in getattr(item, "fixturenames", ())]
    last = sorted(waiting[1:], key=lambda item: "tests/flows/" not in item.nodeid)
    items[:] = waiting[:1] + [item for item in items if item not in set(waiting)] + last


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LOOKOUT_HOME in the test's own folder: no test sees another's registry, checkpoints or lock."""
    home = tmp_path / "home"
    monkeypatch.setenv("LOOKOUT_HOME", str(home))
    # MLflow itself writes this variable: set before it is deleted, it is taken away again behind the test
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    return home


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], str | None]) -> tuple[Path, str]:
    """A folder that `make` fills, and what it said: by the first of pytest-xdist's workers that asks, for all of them.

    The others wait meanwhile. Tests read the folder; what a test changes is a copy of its own.
    """
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, said = shared / name, shared / f"{name}.json"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            shutil.rmtree(folder, ignore_errors=True)  # another worker's attempt that failed
            said.write_text(json.dumps(make(folder) or ""))
    return folder, json.loads(said.read_text())


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose data, base policy and prompts are made; tests read it and do not change it."""
    from tests.support.workspace import DATA_STAGES, call_stage, make_workspace

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(make_workspace(folder))
            patch.setenv("LOOKOUT_HOME", str(folder / "home"))
            for stage, *arguments in DATA_STAGES:
                call_stage(stage, *arguments)

    return once(tmp_path_factory, "prepared", make)[0]


@pytest.fixture(scope="session")
def empty_stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefect's and MLflow's databases with their tables and nothing in them: making those takes ten seconds."""
    from tests.support.workspace import make_stores

    return once(tmp_path_factory, "empty-stores", make_stores)[0]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, empty_stores: Path) -> tuple[Path, str]:
    """A checkout after one run of the flow, and what the flow said; minutes long. Tests work in a copy of it."""
    from tests.support.checkout import checkout, run

    def make(folder: Path) -> str:
        answer = run(checkout(folder), "flows.retrain")
        return answer.stdout + answer.stderr

    return once(tmp_path_factory, "finished", make)


@pytest.fixture(scope="session")
def reweighted(finished: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The finished checkout after one reward's weight was changed and `dvc repro` given, and what that said."""
    from tests.support.checkout import copied, run
    from tests.support.running import OTHER_WEIGHT, change_weight

    def make(folder: Path) -> str:
        change_weight(copied(finished[0], folder), OTHER_WEIGHT)
        return run(folder, "dvc", "repro").stdout

    return once(tmp_path_factory, "reweighted", make)
