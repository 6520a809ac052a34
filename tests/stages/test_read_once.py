"""How often a stage opens each file that it reads: twice costs time, and may see two states of it."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from components.operations.stage import check
from components.params import reading
from tests.support.scored import scored_inputs
from tests.support.workspace import call_stage

READ_BY_DVC = ("data/", "reports/", "conf/")
"""What stages write and read; models/ is left out: transformers opens some of its files three times."""
TWICE = {
    "prompts": ("data/interim/crowd/scenes.parquet",),  # first for what is held out: no rows of all datasets are kept
    "report": (
        "data/raw/crowd/Images",  # the page's picture and the contact sheet's
        "data/prompts/grpo.parquet",  # its rows, and its digest on the page
        "data/prompts/test.parquet",
    ),
}
opened: Counter[str] | None = None


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """Counts what is opened for reading below the working folder."""
    if event != "open" or opened is None or not isinstance(arguments[0], str | os.PathLike):
        return
    path, mode, flags = arguments
    if set(mode or "") & set("wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR):
        return
    place = Path(path).absolute()
    if place.is_relative_to(Path.cwd()) and ".partial-" not in str(place):
        opened[place.relative_to(Path.cwd()).as_posix()] += 1


sys.addaudithook(note)  # for good: Python takes none away, and it counts only while `opened` is a Counter


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Counter[str]]:
    """Checks and runs a stage, as its starter does; how often it opened each file that it read."""
    whole = pyarrow.parquet.ParquetFile

    def parquet(path: Any, **options: Any) -> Any:  # pyarrow opens a file without Python's knowing
        note("open", (path, "r", 0))
        return whole(path, **options)

    monkeypatch.setattr(pyarrow.parquet, "ParquetFile", parquet)

    def run(stage: str, *arguments: str) -> Counter[str]:
        monkeypatch.setitem(globals(), "opened", Counter())
        check(f"components.stages.{stage}", [*arguments])
        call_stage(stage, *arguments)
        assert opened is not None
        found = opened
        monkeypatch.setitem(globals(), "opened", None)
        return found

    return run


@pytest.fixture
def workspace(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared workspace, as the working folder, with what three models said and its scores."""
    folder = shutil.copytree(prepared, tmp_path / "workspace", symlinks=True)
    inputs = scored_inputs(prepared, tmp_path / "made")
    for made in (inputs.scores, inputs.training):
        shutil.copytree(made, folder / "reports" / made.name)
    shutil.copytree(tmp_path / "made/x", folder / "data/predictions/grpo")
    monkeypatch.chdir(folder)
    return folder


def test_a_stage_opens_each_file_once_and_parses_params_once(
    workspace: Path, reads: Callable[..., Counter[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    parse, parsed = reading.load_yaml, list[str]()
    monkeypatch.setattr(reading, "load_yaml", lambda text: parsed.append(text) or parse(text))
    reading._parsed.cache_clear()
    of_crowd = ("--dataset", "crowd")
    stages = (("ingest", *of_crowd), ("validate", *of_crowd), ("prompts",), ("score", "--model", "grpo"), ("report",))
    for stage, *arguments in stages:
        found = reads(stage, *arguments)
        known = {path: count for path, count in found.items() if path.startswith(READ_BY_DVC)}
        assert known, stage
        assert known == {path: 2 if twice(stage, path) else 1 for path in known}, stage
    assert len(parsed) == 1
    (workspace / "params.yaml").write_text(parsed[0].replace("min_iou: 0.5", "min_iou: 0.75"))
    assert reading.load_raw()["score"]["min_iou"] == 0.75  # another text is parsed anew
    assert len(parsed) == 2


def twice(stage: str, path: str) -> bool:
    return path.startswith(TWICE.get(stage, ()))
