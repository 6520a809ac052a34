"""Files made to harm: refused by name, in bounded time and memory."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import SourceError
from components.params.datasets import DatasetParams
from components.sources import plain_json, plain_pickle
from components.sources.coco import stream
from components.sources.plain_json import MOST_LEVELS, Nesting, shallow_json
from components.sources.plain_pickle import read_plain_pickle
from components.sources.reading import read_split


def _doubled(times: int) -> bytes:
    """A tuple twice in a tuple, so many times, as a key: its digest takes 2^times steps."""
    return b"\x80\x02}" + b")" + b"q\x00h\x00\x86" * times + b"K\x01s."


def _deep(times: int, last: bytes = b".") -> bytes:
    return b"\x80\x02)" + b"\x85" * times + last


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (_doubled(40), "its reader crashed, or needed more than 1 s"),
        (_doubled(3), "a key of a mapping or a value of a set is a container"),
        (_deep(10**6), "nested more than 100 levels"),
        (b"\x80\x02}" + _deep(10**6, b"K\x01s.")[2:], "its reader crashed|recursion"),
        (b"\x80\x02c__builtin__\nbytearray\n\x8a\x08" + b"\xff" * 7 + b"\x0f\x85R.", "more memory|cannot be read"),
    ],
    ids=["doubled", "a container as a key", "deep", "deep as a key", "memory"],
)
def test_a_pickle_made_to_harm_is_refused_in_bounded_time(
    content: bytes, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_pickle, "SPARE_S", 1)
    (tmp_path / "x.p").write_bytes(content)
    with pytest.raises(SourceError, match=rf"x\.p: cannot be read as a pickle.*({why})"):
        read_plain_pickle(tmp_path / "x.p")


def test_a_value_that_holds_itself_is_read_as_it_is(tmp_path: Path) -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    (tmp_path / "x.p").write_bytes(pickle.dumps(ring))
    again = read_plain_pickle(tmp_path / "x.p")
    assert again[1] is again


@pytest.mark.parametrize("open_with", [b"[", b'{"a":'])
def test_deep_json_is_refused_before_a_parser_sees_it(open_with: bytes, tmp_path: Path) -> None:
    deep = b'{"images":' + open_with * 40_000
    (tmp_path / "x.json").write_bytes(deep)
    with pytest.raises(SourceError, match=r"x\.json: lists and objects are nested more than 64 levels"):
        list(stream(tmp_path / "x.json", "images"))
    with pytest.raises(SourceError, match="y: lists and objects are nested more than 64 levels"):
        shallow_json(deep, "y")


def test_brackets_in_texts_are_no_levels() -> None:
    value = {"a": ["[" * 200, '"' + "{" * 200, "\\" * 7 + "[" * 90], "b": [[1]] * 100}
    assert shallow_json(json.dumps(value), "x") == value


@settings(deadline=None)
@given(
    st.recursive(st.text('\\"[]{}ab'), lambda part: st.lists(part) | st.dictionaries(st.text('"\\[{'), part)), st.data()
)
def test_levels_are_counted_the_same_however_the_bytes_are_cut(value: Any, data: st.DataObject) -> None:
    content = json.dumps(value).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    nesting = Nesting()
    for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        nesting.add(content[start:end], "x")
    assert (nesting._levels, nesting._in_text) == (0, False)
    for levels, refused in ((MOST_LEVELS, False), (MOST_LEVELS + 1, True)):
        nesting = Nesting()
        nesting.add(content, "x")
        if refused:
            with pytest.raises(SourceError, match="nested"):
                nesting.add(b"[" * levels, "x")
        else:
            nesting.add(b"[" * levels, "x")


def test_what_is_no_json_is_one_sentence() -> None:
    for content in (b"{", b"\xff", b"[1,]"):
        with pytest.raises(SourceError, match="x is not JSON"):
            shallow_json(content, "x")
    assert plain_json.MOST_LEVELS == 64


def test_half_a_character_in_a_tag_is_refused_by_its_line(tmp_path: Path) -> None:
    box = {"tag": "\ud800", "fbox": [1, 2, 3, 4]}
    (tmp_path / "a.odgt").write_text(json.dumps({"ID": "a", "gtboxes": [box]}) + "\n")
    values = {"format": "crowdhuman", "root": str(tmp_path), "role": "train", "licence": "x"}
    params = DatasetParams.model_validate(values | {"annotations": {"train": "a.odgt"}})
    with pytest.raises(SourceError, match=r"a\.odgt:1: .* holds U\+D800, half of a character"):
        list(read_split(tmp_path, params, "train"))
