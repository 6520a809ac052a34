"""The section predict."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from components.params.model import StageParams
from components.params.vllm import VllmParams


class PredictParams(StageParams):
    section: ClassVar[str] = "predict"
    batch_size: int = Field(ge=1)
    max_new_tokens: int = Field(ge=8)
    threads: int = Field(ge=1)
    """CPU threads of each process."""
    bf16: bool
    processes: int = Field(ge=1)
    """They share the batches out between them; the answers are the same for any number."""
    samples: int = Field(ge=0)
    """K sampled answers to each prompt beside the greedy one: what the confidence `consensus` counts; 0 = none."""
    temperature: float = Field(gt=0)
    top_p: float = Field(gt=0, le=1)
    """Of the sampled answers, with `temperature`: nothing else shapes them, whatever the model's folder says.

    The greedy answers have no setting. 1 takes every token (TRL's default for rollouts too).
    """
    seed: int
    vllm: VllmParams | None
    """null generates with transformers in place."""
    python: Literal["gpu"] | None = None
    """gpu: the interpreter that `make setup-gpu` made (LOOKOUT_GPU_PYTHON names another); null: this one."""

    @model_validator(mode="after")
    def _vllm_in_place(self) -> PredictParams:
        if self.vllm is not None and (self.vllm.mode != "colocate" or self.processes > 1):
            raise ValueError("vllm predicts in place: want mode colocate and processes 1")
        return self
