"""completions.jsonl as score reads it: any text a model can write, and one sentence for a broken file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.errors import DataError
from components.scoring.answers import read_completions


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0c", "\r\n"])
def test_a_text_with_a_line_separator_in_it_stays_one_line(tmp_path: Path, separator: str) -> None:
    """predict writes with ensure_ascii=False, and str.splitlines() would cut such a line in two."""
    lines = [{"schema": "completions/1", "sample_id": name, "text": f"a{separator}b"} for name in ("one", "two")]
    path = tmp_path / "completions.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    assert read_completions(path) == lines


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ('{"schema": "compl', "not a line of JSON"),
        ("[1]", "has schema None, want completions/1"),
        ('{"schema": "completions/0"}', "has schema completions/0, want completions/1"),
    ],
)
def test_a_broken_line_is_named_with_its_file_and_number(tmp_path: Path, second: str, said: str) -> None:
    path = tmp_path / "completions.jsonl"
    path.write_text('{"schema": "completions/1"}\n' + second + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"completions\.jsonl:2.*{said}"):
        read_completions(path)


def test_completions_that_are_not_there_say_which_stage_writes_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="predict has not run"):
        read_completions(tmp_path / "completions.jsonl")
