"""SFT: the cold start on gold answers, by TRL's SFTTrainer, loss on the completion only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, Trainer

from components.params.sft import SftParams
from components.policy.images import load_prompts
from components.policy.processor import Processor
from components.training.publishing import lora_config
from components.training.trainer_run import check_starts_from_policy, train_policy

COLUMNS = {
    name: name for name in ("loss", "mean_token_accuracy", "entropy", "grad_norm", "learning_rate")
}  # curves.csv -> the trainer's log


def train_sft(start: Path, prompts: Path, out: Path, reports: Path, params: SftParams) -> None:
    """models/base + prompts -> models/sft with its curves. Raises DataError, ModelError or TrainingError."""
    check_starts_from_policy(start)
    dataset = load_prompts(prompts).select_columns(["prompt", "completion", "image_path", "image_sha256", "tile"])

    def make_trainer(model: PreTrainedModel, processor: Processor, arguments: dict[str, Any]) -> Trainer:
        from trl.trainer.sft_config import SFTConfig
        from trl.trainer.sft_trainer import SFTTrainer

        config = SFTConfig(**arguments, max_length=None, completion_only_loss=True, packing=False)
        return SFTTrainer(
            model=model,
            args=config,
            train_dataset=dataset,
            processing_class=processor,
            peft_config=lora_config(params.lora),
        )

    train_policy("sft", start, prompts, out, reports, params, {}, COLUMNS, make_trainer)
