"""grpo: reinforcement learning on the cold start, with the three rewards."""

from __future__ import annotations

from pathlib import Path

from components.params.grpo import GrpoParams
from components.params.reading import load_section
from components.params.rewards import RewardsParams
from components.stages.running import run_stage


def main() -> None:
    params, rewards = load_section(GrpoParams), load_section(RewardsParams)
    from components.policy.launch import run_training

    def train() -> None:
        from components.training.grpo import train_grpo

        reports = Path("reports/training/grpo")
        train_grpo(Path("models/sft"), Path("data/prompts/grpo.parquet"), Path("models/grpo"), reports, params, rewards)

    run_training("grpo", params.launch, train)


if __name__ == "__main__":
    run_stage(main)
