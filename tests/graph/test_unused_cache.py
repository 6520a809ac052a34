"""What of DVC's cache goes is told in files, size and names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.graph.unused_cache import clear_cache


def test_what_goes_is_told_as_files_size_and_the_dataset_they_were_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*command: str) -> None:
        environment = os.environ | {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
                                    "GIT_COMMITTER_EMAIL": "a@b", "DVC_NO_ANALYTICS": "1"}  # fmt: skip
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)

    monkeypatch.chdir(tmp_path)
    run("git", "init", "-q")
    run(sys.executable, "-m", "dvc", "init", "-q")
    (tmp_path / "pets").mkdir()
    for name in ("a", "b"):
        (tmp_path / "pets" / name).write_text(name * 500_000)
    run(sys.executable, "-m", "dvc", "add", "-q", "pets")
    run("git", "add", ".")
    run("git", "commit", "-qm", "pets")
    assert clear_cache(dry_run=True) == ""
    run("git", "rm", "-qf", "pets.dvc")
    run("git", "commit", "-qm", "no pets")
    said = clear_cache(dry_run=True)
    assert said == "3 files of DVC's cache, 1.0 MB, of pets (3)"
    assert clear_cache(dry_run=False) == said
    assert clear_cache(dry_run=True) == ""
