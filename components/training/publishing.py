"""What stands behind a training's last step: its weights as a model folder. Rehearsed before the first one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from components.params.trainer import LoraParams, TrainerParams
from components.policy.folder import load_model, save_policy
from components.policy.processor import load_processor
from components.policy.weight_files import stored_dtype
from components.store.atomic import scratch_folder

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import Trainer

Weights = dict[str, torch.Tensor]


def whole_weights(trainer: Trainer) -> Weights:
    """The trained weights by name; every process takes part: under ZeRO-3 each holds a part of them."""
    accelerator: Any = trainer.accelerator
    inner = accelerator.unwrap_model(trainer.model)
    if trainer.model_wrapped is inner:
        return inner.state_dict()
    return accelerator.get_state_dict(trainer.model_wrapped)


def weights_of_checkpoint(checkpoint: Path, start: Path, params: TrainerParams) -> Weights:
    """As whole_weights, from a resume point; under adapters it holds these alone, the rest is the start's."""
    if not params.lora:
        return load_model(checkpoint).state_dict()
    from peft import PeftModel

    return PeftModel.from_pretrained(load_model(start), str(checkpoint)).state_dict()


def publish(weights: Weights | None, start: Path, folder: Path, params: TrainerParams) -> None:
    """Fills `folder` with a whole model, no resume state, in the precision of the start; adapters are merged.

    `weights` None: those of the start.
    """
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()  # or this process would load its part of a model only
    model, adapters = load_model(start), lora_config(params.lora)
    if weights is not None and adapters is not None:
        from peft import get_peft_model

        adapted: Any = get_peft_model(model, adapters)
        adapted.load_state_dict(weights)
        model = adapted.merge_and_unload()
    elif weights is not None:
        model.load_state_dict(weights)
    save_policy(model, load_processor(start), folder, stored_dtype(start))


def rehearse(start: Path, out: Path, reports: Path, params: TrainerParams) -> None:
    """Publishes the starting weights beside `out` and takes them away again: what cannot be published is known now."""
    with scratch_folder(out) as folder, scratch_folder(reports):
        publish(None, start, folder, params)


def lora_config(params: LoraParams | None) -> LoraConfig | None:
    """peft's configuration, None for full training."""
    if params is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=params.r,
        lora_alpha=params.alpha,
        lora_dropout=params.dropout,
        target_modules=params.target_modules,
        task_type="CAUSAL_LM",
    )
