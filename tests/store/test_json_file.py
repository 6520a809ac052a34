"""JSON that cannot be read is one sentence: which file, what is wrong, what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.errors import DataError, ModelError
from components.store.atomic import write_json
from components.store.json_file import parse_json, read_json


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", {"name": "Zoë", "f1": None})
    assert read_json(tmp_path / "metrics.json") == {"name": "Zoë", "f1": None}


def test_a_file_that_is_not_there_names_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"metrics\.json is not there: the stage that writes it has not run"):
        read_json(tmp_path / "metrics.json")


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff{}", b"[" * 100_000, b"1" * 5000])
def test_a_damaged_file_is_a_sentence_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.json is not JSON \(.+\); run dvc repro to write it again$") as caught:
        read_json(tmp_path / "x.json")
    assert len(str(caught.value)) < 250 + len(str(tmp_path))


def test_a_caller_says_what_it_wanted_and_which_error_it_is() -> None:
    with pytest.raises(ModelError, match=r"^config\.json is not a line of JSON \(Expecting value.*\); is it whole\?$"):
        parse_json("nothing", "config.json", "is it whole?", "a line of JSON", ModelError)
