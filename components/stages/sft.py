"""sft: the supervised cold start on the gold answers; also the baseline that GRPO is held against."""

from __future__ import annotations

from pathlib import Path

from components.params.reading import load_section
from components.params.sft import SftParams


def main() -> None:
    params = load_section(SftParams)
    from components.training.sft import train_sft

    prompts = Path("data/prompts/sft.parquet")
    train_sft(Path("models/base"), prompts, Path("models/sft"), Path("reports/training/sft"), params)
