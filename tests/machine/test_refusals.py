"""What a disk refuses is one sentence that names the place, whichever library has met it."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from components.machine.refusals import refusal
from components.operations import stage
from components.store.atomic import atomic_folder, write_json
from components.store.schemas.ingested import NOTES
from components.store.tables import write_table
from tests.support.workspace import REPO

ROWS = [{"split": str(n), "kind": "flagged", "where": os.urandom(200).hex(), "reason": "r"} for n in range(20_000)]
MIB = 2**20


def copy_tree(folder: Path) -> None:
    source = folder.parent / "source"
    source.mkdir(exist_ok=True)
    (source / "big").write_bytes(bytes(2 * MIB))
    shutil.copytree(source, folder / "copied")


def sqlite_rows(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "some.db")) as database:
        database.execute("CREATE TABLE t (x)")
        database.executemany("INSERT INTO t VALUES (?)", [(bytes(1000),)] * 2000)
        database.commit()


def nested(folder: Path) -> None:
    try:
        (folder / "file").write_bytes(bytes(2 * MIB))
    except OSError as error:
        raise RuntimeError("a library's own words") from error


WRITERS: dict[str, Callable[[Path], Any]] = {
    "a file": lambda folder: (folder / "file").write_bytes(bytes(2 * MIB)),
    "JSON": lambda folder: write_json(folder / "x.json", [0] * MIB),
    "Parquet": lambda folder: write_table(folder / "x.parquet", NOTES, ROWS),
    "safetensors": lambda folder: save_file({"x": torch.zeros(MIB)}, folder / "x.safetensors"),
    "torch": lambda folder: torch.save(torch.zeros(MIB), folder / "x.pt"),
    "numpy": lambda folder: np.save(folder / "x.npy", np.zeros(MIB)),
    "shutil": copy_tree,
    "sqlite": sqlite_rows,
    "wrapped": nested,
}


NAMELESS = {"safetensors", "sqlite", "torch"}
"""They do not say which file they could not write."""


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 1 MiB, remounted read-only by those who want that."""
    folder = tmp_path_factory.mktemp("disk") / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, how: str) -> None:
    gc.collect()  # what a failed writer still holds open keeps the file system busy
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_said_whoever_writes(small_disk: Path, name: str) -> None:
    with pytest.raises(Exception) as caught:
        WRITERS[name](small_disk)
    for path in small_disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    said = refusal(caught.value)
    assert said is not None, repr(caught.value)
    assert said.startswith("the disk is full (")
    assert said.endswith("the old output is whole; free space")


@pytest.mark.parametrize("name", WRITERS)
def test_a_read_only_disk_is_said_with_its_folder(small_disk: Path, name: str) -> None:
    remount(small_disk, "ro")
    try:
        with pytest.raises(Exception) as caught:
            WRITERS[name](small_disk)
        said = refusal(caught.value)
    finally:
        remount(small_disk, "rw")
    assert said is not None
    assert "\n" not in said
    named = f"{small_disk} cannot be written ("
    assert named in said or (name in NAMELESS and " cannot be written (" in said)


def test_any_other_error_is_not_explained_away() -> None:
    for error in (ValueError("x"), OSError(errno.ENOENT, "No such file", "/x"), pa.ArrowInvalid("bad"), KeyError("a")):
        assert refusal(error) is None


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    said = refusal(PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "secret")))
    assert said is not None
    assert f"{tmp_path / 'secret'} cannot be used (Permission denied)" in said


def test_a_stage_that_meets_a_full_disk_says_one_sentence_and_keeps_the_old_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "old").write_text("whole")

    def main() -> None:
        with atomic_folder(tmp_path / "out"):
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "out"))

    with pytest.raises(SystemExit) as caught:
        stage.perform(main)
    assert caught.value.code == 1
    assert capsys.readouterr().err == (
        f"error: the disk is full ({tmp_path / 'out'}); the old output is whole; free space\n"
    )
    assert (tmp_path / "out/old").read_text() == "whole"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".partial")) == []


def test_a_command_in_a_folder_that_cannot_be_written_says_one_sentence(small_disk: Path) -> None:
    remount(small_disk, "ro")
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "components.cli.main", "used-by", "crowd"], cwd=REPO, capture_output=True, text=True,
            check=False, env=os.environ | {"LOOKOUT_HOME": str(small_disk / "home")},
        )  # fmt: skip
    finally:
        remount(small_disk, "rw")
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert answer.stderr.startswith(f"error: {small_disk} cannot be written (Read-only file system)")
