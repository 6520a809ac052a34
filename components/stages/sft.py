"""sft: the supervised cold start on the gold answers; also the baseline that GRPO is held against."""

from __future__ import annotations

from pathlib import Path

from components.params.reading import load_section
from components.params.sft import SftParams
from components.stages.running import run_stage


def main() -> None:
    params = load_section(SftParams)
    from components.policy.launch import run_training

    def train() -> None:
        from components.training.sft import train_sft

        prompts = Path("data/prompts/sft.parquet")
        train_sft(Path("models/base"), prompts, Path("models/sft"), Path("reports/training/sft"), params)

    run_training("sft", params.launch, train)


if __name__ == "__main__":
    run_stage(main)
