"""The reason of a process that failed is found in what it said, also where that is a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import RegistryError
from components.machine.last_words import reason
from components.model_registry.reproduce import _dvc

OF_DVC = "ERROR: failed to reproduce 'sft': failed to run: python -m components.stages.sft, exited with 1"


def test_the_stages_own_sentence_is_kept() -> None:
    assert reason(["Running stage 'x':", "error: the dataset is gone", OF_DVC, ""]) == "the dataset is gone"
    assert reason(["Running stage 'x':", "Killed", "", OF_DVC]) == "Killed"
    assert reason([OF_DVC]) == OF_DVC
    assert reason([]) == reason(["", " "]) == "it said nothing"


def test_of_a_traceback_the_exception_and_its_place_are_told(tmp_path: Path) -> None:
    script = tmp_path / "stage.py"
    script.write_text("def deep():\n    raise ValueError('GenerationConfig is invalid')\n\n\ntry:\n    1 / 0\n"
                      "except ZeroDivisionError:\n    deep()\n")  # fmt: skip
    said = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False).stderr
    assert said.count("Traceback") == 2
    assert reason([*said.splitlines(), OF_DVC]) == "ValueError: GenerationConfig is invalid (stage.py:2)"
    assert reason([*said.splitlines(), "error: full", OF_DVC]) == "full"
    assert reason(said.splitlines()[:-1]) == "raise ValueError('GenerationConfig is invalid')"  # cut by a kill


def test_reproduce_tells_the_reason_of_a_traceback(tmp_path: Path) -> None:
    stage = tmp_path / "dvc.py"  # the worktree's own modules are found first
    stage.write_text(f"import sys\nprint({OF_DVC!r})\nprint('Running stage')\nraise KeyError('temperature')\n")
    with pytest.raises(
        RegistryError, match=r"dvc repro failed in .*: KeyError: 'temperature' \(dvc\.py:4\); all"
    ) as caught:
        _dvc(tmp_path, "repro")
    assert Path(str(caught.value).rpartition(" ")[2]).read_text().count("Traceback") == 1
