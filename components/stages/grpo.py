"""grpo: reinforcement learning on the cold start, with the three rewards."""

from __future__ import annotations

from pathlib import Path

from components.params.grpo import GrpoParams
from components.params.reading import load_section
from components.params.rewards import RewardsParams


def main() -> None:
    params, rewards = load_section(GrpoParams), load_section(RewardsParams)
    from components.training.grpo import train_grpo

    reports = Path("reports/training/grpo")
    train_grpo(Path("models/sft"), Path("data/prompts/grpo.parquet"), Path("models/grpo"), reports, params, rewards)
