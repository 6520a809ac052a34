"""What a folder's safetensors files say of themselves in their headers, without loading a weight."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path

from components.errors import ModelError

WEIGHTS = "*.safetensors"
DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16", "F64": "float64"}
LONGEST_HEADER = 100_000_000
"""Bytes; safetensors' own limit."""


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    dtype: str
    """As safetensors spells it: F32, BF16."""
    count: int
    """Numbers in it."""


def tensors_of(path: Path) -> list[Tensor]:
    """Every tensor of one file. Raises ModelError where the file is cut or its header cannot be read."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(size - 8, LONGEST_HEADER):
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            entries = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        if 8 + length + max(ends, default=0) != size:
            raise ValueError(f"{size} bytes, its header wants {8 + length + max(ends, default=0)}")
        return [
            Tensor(name, entry["dtype"], prod(entry["shape"]))
            for name, entry in entries.items()
            if name != "__metadata__"
        ]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(f"{path} is no whole safetensors file ({error}); was it cut?") from None


def folder_tensors(folder: Path) -> list[Tensor]:
    """Every tensor of a model folder, over all its files."""
    return [tensor for path in sorted(folder.glob(WEIGHTS)) for tensor in tensors_of(path)]


def stored_dtype(folder: Path) -> str:
    """The precision of a folder's weights, in torch's word: that of most of its numbers."""
    counts = Counter[str]()
    for tensor in folder_tensors(folder):
        counts[DTYPES.get(tensor.dtype, "float32")] += tensor.count
    return max(counts, key=lambda name: counts[name], default="float32")
