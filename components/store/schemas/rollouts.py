"""What GRPO keeps of its completions."""

from __future__ import annotations

import pyarrow as pa

from components.store.tables import TableSchema

ROLLOUTS = TableSchema(
    "rollouts",
    1,
    pa.schema(
        [
            ("step", pa.int32()),
            ("sample_id", pa.string()),
            ("group_id", pa.string()),
            ("index_in_group", pa.int32()),
            ("text", pa.string()),
            ("token_count", pa.int32()),
            ("failure", pa.string()),  # null where it parsed
            ("rewards", pa.map_(pa.string(), pa.float32())),  # a null value = not scored
            ("total", pa.float32()),
            ("advantage", pa.float32()),
            ("disagreement", pa.binary()),  # float16 (grid, grid), on the group's first row; null elsewhere
        ]
    ),
)
