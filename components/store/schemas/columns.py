"""Columns that several tables have."""

from __future__ import annotations

import pyarrow as pa

BOX_LISTS = pa.list_(pa.list_(pa.float32()))


MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
