"""Sampling by vLLM, in grpo and predict."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from components.params.model import StrictModel


class VllmParams(StrictModel):
    """Sampling by vLLM: inside the trainer's processes, or by a server of its own (`vllm serve`)."""

    mode: Literal["colocate", "server"]
    gpu_memory_utilization: float = Field(gt=0, lt=1)
    """Share of the GPU's memory for vLLM, mode colocate."""
    server_base_url: str | None
    """Mode server: where it listens, http://host:port."""

    @model_validator(mode="after")
    def _has_server(self) -> VllmParams:
        if self.mode == "server" and self.server_base_url is None:
            raise ValueError("the mode server needs grpo.vllm.server_base_url, http://host:port")
        return self
