"""What the sections sft and grpo share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from components.params.model import StageParams, StrictModel

GRACE_S = 60
"""How long a training that is asked to end may go on, for its step and the resume point behind it."""


class LoraParams(StrictModel):
    r: int = Field(ge=1)
    alpha: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)
    target_modules: list[str] | str


class LaunchParams(StrictModel):
    processes: int = Field(ge=1)
    deepspeed: Literal["none", "zero2", "zero3"]
    threads: int = Field(ge=1)
    """CPU threads of each process; one is faster than two for the tiny policy."""
    nodes: int = Field(ge=1)
    """Machines; the stage is started on each of them, over one shared checkout and LOOKOUT_HOME."""
    rendezvous: str | None
    """host:port of the first machine, where the others meet it; null on a single one."""
    python: Literal["gpu"] | None = None
    """gpu: the interpreter that `make setup-gpu` made (LOOKOUT_GPU_PYTHON names another); null: this one."""

    @model_validator(mode="after")
    def _meets(self) -> LaunchParams:
        if self.nodes > 1 and self.rendezvous is None:
            raise ValueError(f"{self.nodes} nodes need launch.rendezvous, host:port of the first one")
        return self


class TrainerParams(StageParams):
    """What SFT and GRPO share. Names are TRL's (transformers.TrainingArguments)."""

    seed: int
    max_steps: int = Field(ge=0)
    """0 passes the starting weights through."""
    per_device_train_batch_size: int = Field(ge=1)
    gradient_accumulation_steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup", "inverse_sqrt"]
    warmup_steps: int = Field(ge=0)
    adam_beta2: float = Field(gt=0, lt=1)
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    bf16: bool
    gradient_checkpointing: bool
    logging_steps: int = Field(ge=1)
    save_steps: int = Field(ge=1)
    dataloader_num_workers: int = Field(default=0, ge=0, le=64)
    """Processes that read images ahead (and resize them, in SFT), beside each training process; 0: it does so itself.
    The weights are the same for any number.
    """
    freeze_vision: bool
    lora: LoraParams | None
    launch: LaunchParams
