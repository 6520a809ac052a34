"""Names become folders, keys of YAML and words of a shell line: one strict pattern, and nothing that YAML misreads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from components.params.names import checked_name, checked_path
from tests.support.workspace import REPO


@pytest.mark.parametrize("name", ["crowd", "a", "crowd-2", "3d_crowd", "lookout-smoke", "x" * 64])
def test_a_plain_name_passes_and_both_yamls_read_it_as_text(name: str) -> None:
    assert checked_name(name) == name
    assert yaml.safe_load(f"{name}: 1") == {name: 1}


@pytest.mark.parametrize(
    "name",
    ["", "A", "-a", "_a", "a b", "a;b", "a'b", "../a", "a/b", "a\n", "é", "$(x)", "${x}", "x" * 65,
     "on", "off", "yes", "no", "true", "false", "null", "y", "n", "1", "1_000", "0x1f", "1e5", "2026-01-01"],
)  # fmt: skip
def test_any_other_spelling_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        checked_name(name)


@pytest.mark.parametrize("path", ["data/raw/x", "refs(unc).p#train", "data/train-*.parquet", "/a b/c.json", "é/ü"])
def test_paths_of_published_datasets_pass(path: str) -> None:
    assert checked_path(path) == path


@pytest.mark.parametrize("path", ["a;b", "a|b", "$(x)", "`x`", "${x}", "a\nb", 'a"b', "a\\b", "a>b", "a&b", "a\0b"])
def test_paths_that_a_shell_or_a_template_could_read_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="may not stand in a path"):
        checked_path(path)


def test_every_command_of_the_graph_quotes_what_it_is_given() -> None:
    commands = [line for line in Path(REPO / "dvc.yaml").read_text().splitlines() if line.strip().startswith("cmd:")]
    assert len(commands) == 11
    for command in commands:
        assert "${" not in re.sub(r"'\$\{(key|item)\}'", "", command), command
