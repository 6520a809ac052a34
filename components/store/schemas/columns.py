"""The types of columns: a table's row is a TypedDict, and its Parquet columns follow from the annotations."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

_pa: Any = import_module("pyarrow")  # it comes without types
Int32 = Annotated[int, "int32"]
Int64 = Annotated[int, "int64"]
Float32 = Annotated[float, "float32"]
Float64 = Annotated[float, "float64"]
BoxList = Sequence[Sequence[Float32]]
"""x1 y1 x2 y2 of each box, or x y of each point."""
_PLAIN = {str: "string", bool: "bool", bytes: "binary"}


class Message(TypedDict):
    """One turn of a conversation."""

    role: str
    content: str


def arrow_columns(row: type[Any]) -> Any:
    """The pyarrow Schema of a TypedDict's keys, in their order. Every column may be null, whatever its annotation."""
    return _pa.schema([(name, _arrow_type(hint)) for name, hint in get_type_hints(row, include_extras=True).items()])


def _arrow_type(hint: Any) -> Any:
    """list[tuple[key, value]] is a map, as pyarrow reads one; a TypedDict a struct; a closed list of names a string."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _arrow_type(next(part for part in parts if part is not NoneType))
    if origin in (list, Sequence):
        pair = get_args(parts[0]) if get_origin(parts[0]) is tuple else ()
        return _pa.map_(*map(_arrow_type, pair)) if pair else _pa.list_(_arrow_type(parts[0]))
    if is_typeddict(hint):
        return _pa.struct(list(arrow_columns(hint)))
    return _pa.type_for_alias(parts[1] if origin is Annotated else "string" if origin is Literal else _PLAIN[hint])
