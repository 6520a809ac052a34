"""The local index of lineages: whatever happens while it is filled, a recall finds what it would have found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.errors import RegistryError
from components.model_registry import index
from components.model_registry.index import SCHEMA, used_by
from components.store.cache_file import open_cache

DIGESTS = index._digests
VERSION = SimpleNamespace(name="people", version="1", run_id="r", tags={"lookout.key": "k"}, creation_timestamp=1)


@pytest.fixture(autouse=True)
def one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "connect", lambda: None)
    monkeypatch.setattr(index, "all_versions", lambda _client: [VERSION])
    monkeypatch.setattr(index, "_digests", lambda _version: iter([("crowd", "dataset crowd")]))


def test_two_first_calls_at_once_both_answer_and_keep_each_row_once(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(_version: Any) -> Iterator[tuple[str, str]]:
        monkeypatch.setattr(index, "_digests", lambda _version: iter([("crowd", "dataset crowd")]))
        assert len(used_by("crowd")) == 1  # another process, between our look and our writing
        yield "crowd", "dataset crowd"

    monkeypatch.setattr(index, "_digests", meanwhile)
    assert [one["version"] for one in used_by("crowd")] == [1]
    with closing(open_cache(own_home / "lineage-index.sqlite", SCHEMA, index._VERSION)) as cache:
        assert cache.execute("select count(*) from digest").fetchone() == (1,)


def test_a_damaged_index_is_filled_again(own_home: Path) -> None:
    assert len(used_by("crowd")) == 1
    (own_home / "lineage-index.sqlite").write_bytes(b"garbage" * 999)
    assert len(used_by("crowd")) == 1


def test_a_statement_that_cannot_be_had_is_an_error_and_found_at_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_version: Any) -> Any:
        raise RegistryError("its run holds no statement.json (connection refused)")

    monkeypatch.setattr(index, "_digests", DIGESTS)
    monkeypatch.setattr(index, "statement_of", gone)
    with pytest.raises(RegistryError, match=r"holds no statement\.json"):
        used_by("crowd")
    monkeypatch.setattr(index, "_digests", lambda _version: iter([("crowd", "dataset crowd")]))
    assert len(used_by("crowd")) == 1
