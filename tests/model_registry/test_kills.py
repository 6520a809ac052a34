"""Killed at any moment, register and promote are finished by the same command: one version, always a champion."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from components.model_registry.lineage import collect_lineage
from components.model_registry.promote import promote
from components.model_registry.register import register_model
from components.model_registry.registry import alias_version, all_versions, connect
from tests.support.toy_version import make_checkout, train

IMPORTED = ("mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store",
            "components.policy.answering")  # fmt: skip


def killed(work: Callable[[], object], after_s: float) -> bool:
    """Runs `work` in a process of its own and kills it after so many seconds; whether it was still at it."""
    child = forked(work, silent=True)
    time.sleep(after_s)
    ended, _ = os.waitpid(child, os.WNOHANG)
    if ended == 0:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return ended == 0


def finished(work: Callable[[], object]) -> float:
    """Runs `work` in a process of its own to its end, and says how many seconds it took.

    This process holds no open database when it forks.
    """
    begun = time.monotonic()
    assert os.waitpid(forked(work), 0)[1] == 0
    return time.monotonic() - begun


def forked(work: Callable[[], object], silent: bool = False) -> int:
    """The process that does `work` and ends with 0 where it raised nothing."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        if silent:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
        work()
        code = 0
    finally:
        os._exit(code)


def drill(prepared: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, kills: int) -> None:
    for name in IMPORTED:  # once, here: kills are to hit the work, not the imports
        import_module(name)
    checkout = make_checkout(prepared, folder / "checkout")
    monkeypatch.chdir(checkout)
    chance = random.Random(0)
    hit = {"register": 0, "promote": 0}
    for weights in ("first", "second"):  # the first call also makes the store: the second tells how long one takes
        train(checkout, weights, 1)
        longest = finished(register_model), finished(forced)
    for number in range(2, kills + 2):
        train(checkout, f"weights {number}", min(8, number))
        hit["register"] += killed(register_model, chance.uniform(0, longest[0]))
        finished(register_model)
        finished(lambda: one_version(collect_lineage()["key"]))
        hit["promote"] += killed(forced, chance.uniform(0, longest[1]))
        finished(champion)  # also before the command is given again
        finished(forced)
        finished(partial(champion, number + 1))
    (folder / "hit.txt").write_text(f"{kills} times each; killed at work: {hit}\n")
    assert min(hit.values()) > 0


def forced() -> None:
    """Promotes the challenger; the gates, and the cache that is not here, are not what is tested."""
    promote("@challenger", never, force=True, reason="a drill", unseen_ok=True)


def never(*_: object) -> Path:
    raise AssertionError("the test images are the same")


def one_version(key: str) -> None:
    versions = all_versions(connect())
    assert sum(version.tags["lookout.key"] == key for version in versions) == 1


def champion(wanted: int | None = None) -> None:
    """There is one, and it is there; `previous` is another that is there."""
    client = connect()
    found = alias_version(client, "lookout", "champion")
    assert found is not None
    assert wanted is None or int(found.version) == wanted
    previous = alias_version(client, "lookout", "previous")
    if wanted is not None and wanted > 1:
        assert int(previous.version) == wanted - 1


@pytest.mark.slow
def test_a_few_kills(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drill(prepared, tmp_path, monkeypatch, 3)


@pytest.mark.drill
def test_thirty_kills(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drill(prepared, tmp_path, monkeypatch, 30)
