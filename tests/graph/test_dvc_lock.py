"""A dvc.lock that is not whole is one sentence, wherever a kill or a merge has left it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.errors import DataError
from components.graph.dvc_lock import lock_values, read_lock_file

WHOLE = """\
schema: '2.0'
stages:
  prompts:
    cmd: python -m components.stages.prompts
    deps:
    - path: data/validated
      md5: 0123456789abcdef0123456789abcdef.dir
    params:
      params.yaml:
        sft.learning_rate: 2e-06
    outs:
    - path: data/prompts
      md5: fedcba9876543210fedcba9876543210.dir
"""


def test_a_lock_that_is_cut_within_a_line_is_refused_by_name() -> None:
    for end in range(len(WHOLE)):
        if WHOLE[:end].endswith("\n"):
            continue
        with pytest.raises(DataError) as caught:
            lock_values(WHOLE[:end])
        assert re.match(r"dvc\.lock(:\d+)?: it is not whole \(.+\), perhaps dvc was killed", str(caught.value))
        assert "\n" not in str(caught.value)


def test_a_whole_lock_is_read_with_its_numbers() -> None:
    stage = lock_values(WHOLE)["stages"]["prompts"]
    assert stage["params"]["params.yaml"]["sft.learning_rate"] == 2e-6
    assert stage["outs"][0]["path"] == "data/prompts"


@pytest.mark.parametrize("line", range(1, WHOLE.count("\n")))
def test_conflict_markers_are_named_with_their_line(line: int) -> None:
    lines = WHOLE.splitlines(keepends=True)
    lines[line:line] = ["<<<<<<< HEAD\n", "  x: 1\n", "=======\n", "  x: 2\n", ">>>>>>> other\n"]
    with pytest.raises(DataError, match=rf"dvc\.lock:{line + 1}: git left its conflict markers"):
        lock_values("".join(lines))


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 40, b"\xff\xfe", b"- a\n- b\n", b"schema: '2.0'\n", b"stages: &a {x: *b}"]
)
def test_any_other_bytes_are_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "dvc.lock"
    file.write_bytes(content)
    with pytest.raises(DataError, match="it is not whole"):
        read_lock_file(file)


def test_a_lock_that_is_not_there_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dvc\.lock is not there: .* run dvc repro"):
        read_lock_file(tmp_path / "dvc.lock")
