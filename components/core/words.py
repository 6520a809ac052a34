"""The closed lists of names that params, prompts and answers share; those of tasks stand in core.tasks."""

from __future__ import annotations

from typing import Literal

Split = Literal["train", "val", "test"]
Role = Literal["train", "eval", "both"]
SPLITS_OF: dict[Role, tuple[Split, ...]] = {
    "train": ("train",), "eval": ("val", "test"), "both": ("train", "val", "test"),
}  # fmt: skip
"""role -> the splits of a dataset that are read."""
MODELS = ("base", "sft", "grpo")
"""The models of a run; each begins as the one before it."""
TRAINED = MODELS[1:]
Thinking = Literal["look", "think", "none"]
"""What stands before the answer: thoughts and a second look, thoughts alone, or nothing."""
ModelFrame = Literal["resized", "relative_1000"]
"""What a model's numbers mean: pixels of the image as it was resized, or thousandths of its sides."""
Frame = Literal["original", "resized", "relative_1000"]
