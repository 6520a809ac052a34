"""DVC runs beside its graph, with our own Python for its stages; what it refuses is one sentence."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from components.errors import SourceError
from components.machine.dvc import dvc, run_dvc, stage_environment


def says(folder: Path, code: str) -> Path:
    """A folder where `python -m dvc` runs this code: the folder's own modules are found first."""
    (folder / "dvc.py").write_text(f"import os, sys\n{code}")
    return folder


def test_what_dvc_prints_comes_back(tmp_path: Path) -> None:
    folder = says(tmp_path, "print(sys.argv[1:], os.getcwd(), os.environ.get('JOBS'))")
    assert dvc("cache", "dir", cwd=folder) == f"['cache', 'dir'] {folder} None\n"
    assert run_dvc("status", cwd=folder, JOBS="2").stdout == f"['status'] {folder} 2\n"


def test_a_failure_is_a_sentence_of_the_callers_kind_with_the_end_of_what_dvc_said(tmp_path: Path) -> None:
    folder = says(tmp_path, "print('aside')\nsys.exit('x' * 999 + '\\nERROR: no\\n  such remote')")
    with pytest.raises(SourceError, match=r"^dvc pull -q failed in .*: x+ ERROR: no such remote$") as caught:
        dvc("pull", "-q", cwd=folder, fails=SourceError)
    assert str(caught.value).count("x") < 300
    assert run_dvc("pull", cwd=folder).returncode == 1


def test_the_python_of_a_stages_command_is_this_one() -> None:
    found = shutil.which("python", path=stage_environment()["PATH"])
    assert found is not None
    assert Path(found).parent == Path(sys.executable).parent
