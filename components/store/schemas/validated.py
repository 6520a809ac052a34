"""What validate writes."""

from __future__ import annotations

import pyarrow as pa

from components.store.tables import TableSchema

QUARANTINE = TableSchema(
    "quarantine",
    1,
    pa.schema(
        [
            ("scene_id", pa.string()),
            ("split", pa.string()),
            ("image_path", pa.string()),
            ("reason", pa.string()),
            ("annotation", pa.string()),
        ]
    ),
)
