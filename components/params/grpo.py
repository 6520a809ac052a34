"""The section grpo."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from components.params.trainer import TrainerParams
from components.params.vllm import VllmParams


class GrpoParams(TrainerParams):
    section: ClassVar[str] = "grpo"
    num_generations: int = Field(ge=2)
    """G, completions a prompt: the group that advantages are taken over (GRPO, arXiv:2402.03300)."""
    max_completion_length: int = Field(ge=8)
    """In tokens; the gold answers must fit (prompts.max_completion_tokens)."""
    temperature: float = Field(gt=0)
    top_p: float = Field(gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    """Rollouts take one of the so many likeliest tokens; 0: of all. No sampling setting comes from the model folder."""
    min_p: float | None = Field(default=None, ge=0, le=1)
    """Rollouts take no token below this share of the likeliest one's chance; null: off."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """1: none. Lists of boxes repeat digits and labels, so that a penalty falsifies them."""
    beta: float = Field(ge=0)
    """Weight of the KL to the reference model; 0 keeps none (TRL's default)."""
    epsilon: float = Field(gt=0)
    """Clipping of the probability ratio downwards."""
    epsilon_high: float = Field(gt=0)
    """Clipping upwards; DAPO (arXiv:2503.14476) sets it higher, 0.28."""
    num_iterations: int = Field(ge=1)
    """Passes over each batch of rollouts."""
    steps_per_generation: int | None = Field(default=None, ge=1)
    """Micro-batches of a process that are drawn at once (TRL's name); null: those of one optimisation step.

    More of them fill a GPU better, since a decoding step takes hardly longer for 64 rows than for 8; the later
    optimisation steps on such a batch are off the policy that drew it, as with num_iterations.
    """
    loss_type: Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]
    """dapo: mean over all tokens of the batch (arXiv:2503.14476); dr_grpo: no length bias (arXiv:2503.20783)."""
    scale_rewards: Literal["group", "batch", "none"]
    """What the advantages' deviation is taken over; none after Dr. GRPO (arXiv:2503.20783)."""
    multi_objective_aggregation: Literal["sum_then_normalize", "normalize_then_sum"]
    """normalize_then_sum is GDPO (arXiv:2601.05242): each reward is normalised in its group first."""
    importance_sampling_level: Literal["token", "sequence"]
    """sequence is GSPO (arXiv:2507.18071)."""
    mask_truncated_completions: bool
    """Completions at the length limit carry no loss (arXiv:2503.14476)."""
    shared_prefix: Literal["auto", "on", "off", "observe"]
    """A group's prompt and image are paid once (arXiv:2506.05433), exactly; auto: where the model is known to work.

    observe takes TRL's own step, and says once how far apart the two are and what would be saved.
    """
    vllm: VllmParams | None
    """null samples with the policy in place."""
    kept_rollout_groups: int = Field(ge=0)
    """Groups of completions kept in rollouts.parquet, spread over the run."""

    def drawn_at_once(self) -> int:
        """Micro-batches of a process in one batch of rollouts."""
        return self.steps_per_generation or self.gradient_accumulation_steps

    def steps_of_a_batch(self) -> int:
        """Optimisation steps that are taken on one batch of rollouts."""
        return self.num_iterations * self.drawn_at_once() // self.gradient_accumulation_steps
