"""Values by dotted paths, and numbers as tables show them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from components.core.dotted import leaves, value_at
from components.core.number_text import interval_text, number_text

NAMES = st.text("abc", min_size=1, max_size=3)
NESTED = st.dictionaries(
    NAMES, st.recursive(st.integers(), lambda inner: st.dictionaries(NAMES, inner, max_size=3)), max_size=3
)


@given(NESTED)
def test_each_leaf_stands_at_its_path(values: dict[str, object]) -> None:
    for path, value in leaves(values).items():
        assert value_at(values, path) == value


def test_a_path_that_leads_nowhere_has_no_value() -> None:
    values = {"coco": {"AP": 0.5, "none": None}, "classes": {"person (a.b)": "person"}}
    assert value_at(values, "coco.AP") == 0.5
    assert value_at(values, "classes.person (a.b)") == "person"
    assert [value_at(values, path) for path in ("coco.AR", "coco.AP.x", "coco.none.x", "x", "")] == [None] * 5


def test_an_empty_mapping_has_no_leaf() -> None:
    assert leaves({"a": {}, "b": {"c": [1], "d": None}}) == {"b.c": [1], "b.d": None}


def test_a_number_that_is_not_defined_is_a_dash() -> None:
    assert [number_text(value) for value in (None, 0, 0.12345, 2)] == ["–", "0.000", "0.123", "2.000"]
    assert number_text(0.12345, 4) == "0.1235"
    assert interval_text(None) == "–"
    assert interval_text([0.1, 0.25]) == "0.100 to 0.250"
    assert interval_text((0.1, 0.25), 1) == "0.1 to 0.2"
