"""Whether a training's files will fit, before its first step."""

from __future__ import annotations

import shutil
from math import ceil
from pathlib import Path

from components.errors import TrainingError
from components.params.trainer import TrainerParams
from components.policy.weight_files import folder_tensors

KEPT = 2
"""Resume points that stay (save_total_limit); one more is there while it is written."""
ADAPTER = 0.1
"""Share of the numbers that an adapter has at most."""


def refuse_full_disk(stage: str, start: Path, folder: Path, out: Path, params: TrainerParams) -> None:
    """Raises TrainingError where the resume points in `folder`, or the new model at `out`, would not fit."""
    points, kept = point_bytes(start, params), min(KEPT, _saves(params))
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    model = sum(path.stat().st_size for path in start.iterdir() if path.is_file())
    peak = points * min(KEPT + 1, _saves(params))
    home, target = _existing(folder.parent), _existing(out.parent)
    if home.stat().st_dev == target.stat().st_dev:
        needs = {home: max(peak, points * kept + model) - there}
    else:
        needs = {home: peak - there, target: model}
    for place, needed in needs.items():
        free = shutil.disk_usage(place).free
        if needed > free:
            raise TrainingError(
                f"{stage} cannot start: resume points and model need about {ceil(needed / 2**20)} MiB more at "
                f"{place}, {free // 2**20} are free; free space (lookout gc) or put LOOKOUT_HOME elsewhere"
            )


def point_bytes(start: Path, params: TrainerParams) -> int:
    """Size of one resume point, from the numbers of the starting weights, in whatever precision these are stored.

    It holds the weights in 32 bits and AdamW's two moments of those that are trained. Under DeepSpeed: the weights as
    they are computed with (bf16: 16 bits), the same once more in its own file (ZeRO-3 has them in its parts), and a
    master copy with both moments in 32 bits. tests/training/test_published_folders.py holds it against a real one.
    """
    tensors = folder_tensors(start)
    numbers = sum(tensor.count for tensor in tensors)
    still = sum(tensor.count for tensor in tensors if "visual." in tensor.name) if params.freeze_vision else 0
    if params.lora:
        return int(12 * ADAPTER * numbers)
    if params.launch.deepspeed == "none":
        return 4 * numbers + 8 * (numbers - still)
    copies = (2 if params.bf16 else 4) * numbers * (2 if params.launch.deepspeed == "zero2" else 1)
    return copies + 12 * (numbers - still)


def _saves(params: TrainerParams) -> int:
    return ceil(params.max_steps / params.save_steps)


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
