"""GRPO with the three rewards, by TRL's GRPOTrainer."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, Trainer
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.utils import RepeatSampler

from components.errors import TrainingError
from components.params.grpo import GrpoParams
from components.params.rewards import RewardsParams
from components.params.trainer import TrainerParams
from components.policy.decoding import text_of
from components.policy.images import load_prompts
from components.policy.processor import Processor, load_processor
from components.policy.sampling import NEVER
from components.rewards import collapse_signs
from components.store.schemas.rollouts import ROLLOUTS
from components.store.tables import write_table
from components.training.group_rewards import COLUMNS as REWARD_COLUMNS
from components.training.group_rewards import GroupRewards, RolloutKeeper, check_rewards
from components.training.publishing import lora_config
from components.training.shared_prefix.trainer import SharedPrefixTrainer
from components.training.trainer_run import check_starts_from_policy, train_policy

CURVES = {
    "reward_total": "reward",
    "kl": "kl",
    "entropy": "entropy",
    "mean_length": "completions/mean_length",
    "clipped_ratio": "completions/clipped_ratio",
    "frac_reward_zero_std": "frac_reward_zero_std",
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
}
OWN = {"kept_rollout_groups", "vllm", "shared_prefix"}  # ours, not TRL's


class EpochSampler(RepeatSampler):
    """TRL's sampler with an order that depends on the epoch alone.

    TRL's own draws each epoch's order from where the last left its generator, so a run that
    is resumed in its second epoch would see the first one's order again.
    """

    def __init__(self, *args: Any, seed: int, **kwargs: Any) -> None:
        super().__init__(*args, seed=seed, **kwargs)
        self._first_seed = seed

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader before each epoch but the first."""
        self.generator.manual_seed(self._first_seed + epoch)


class SamePrompts:
    """vLLM's generation, refused where it answered other prompts than the trainer scores.

    A prompt whose image tokens the processor has expanded can be expanded again on the way to vLLM
    (TRL issues 6294, 6401): training would go on, on log-probabilities of another prompt.
    """

    def __init__(self, generation: Any) -> None:
        self._generation = generation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generation, name)

    def generate(self, prompts: list[list[int]], **kwargs: Any) -> Any:
        answer = self._generation.generate(prompts=prompts, **kwargs)
        for sent, received in zip(prompts, answer[0], strict=True):
            if list(sent) != list(received):
                raise TrainingError(
                    f"vLLM answered a prompt of {len(received)} tokens where the trainer has {len(sent)}: its prompt "
                    "ids are not the trainer's (are the image tokens expanded twice?); set grpo.vllm: null"
                )
        return answer


class RolloutTrainer(SharedPrefixTrainer):
    """TRL's trainer, unchanged in what it computes; it resumes exactly, and keeps a sample of its rollouts."""

    def __init__(self, *args: Any, rewards: GroupRewards, keeper: RolloutKeeper, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._group_rewards, self._keeper = rewards, keeper
        if self.use_vllm:
            self.vllm_generation: Any = SamePrompts(self.vllm_generation)

    def _get_train_sampler(self, dataset: Dataset | None = None) -> EpochSampler:
        stock: Any = super()._get_train_sampler(dataset)
        return EpochSampler(
            stock.data_source,
            mini_repeat_count=stock.mini_repeat_count,
            batch_size=stock.batch_size,
            repeat_count=stock.repeat_count,
            shuffle=stock.shuffle,
            seed=self.args.seed,
        )

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        if self.accelerator.is_main_process and self._group_rewards.groups:
            own = [row for group in self._group_rewards.groups for row in group][self._group_rewards.local]
            for row, advantage in zip(own, output["advantages"].tolist(), strict=True):
                row["advantage"] = advantage
            self._keeper.keep(self.state.global_step, self._group_rewards.groups[0])
        return output


def train_grpo(
    start: Path, prompts: Path, out: Path, reports: Path, params: GrpoParams, rewards_params: RewardsParams
) -> None:
    """models/sft + prompts -> models/grpo with curves and rollouts. Raises DataError, ModelError or TrainingError."""
    check_starts_from_policy(start)
    check_batches(params)
    check_vllm(params)
    dataset = load_prompts(prompts).select_columns(["prompt", "image_path", "image_sha256", "tile", *REWARD_COLUMNS])
    check_rewards(rewards_params, dataset.unique("answer_as"))
    rewards = GroupRewards(rewards_params, params.num_generations, partial(text_of, load_processor(start).tokenizer))

    def keeper(run: Path) -> RolloutKeeper:
        return RolloutKeeper(run / "rollouts", params.kept_rollout_groups, params.max_steps)

    def make_trainer(model: PreTrainedModel, processor: Processor, arguments: dict[str, Any]) -> Trainer:
        # a reference model (beta > 0) is loaded from this path: the start's, also when resuming
        model.config._name_or_path = str(start)
        return RolloutTrainer(
            model=model,
            reward_funcs=rewards.functions(),
            args=GRPOConfig(
                **arguments,
                **_grpo_arguments(params, model.config.image_token_id),
                reward_weights=rewards.weights,
            ),
            train_dataset=dataset,
            processing_class=processor,
            peft_config=lora_config(params.lora),
            rewards=rewards,
            keeper=keeper(Path(arguments["output_dir"])),
            shared_prefix=params.shared_prefix,
        )

    columns = {f"reward_{name}": f"rewards/{name}/mean" for name in rewards_params.weights} | CURVES
    extra = {"rewards": rewards_params.model_dump()}
    train_policy(
        "grpo", start, prompts, out, reports, params, extra, columns, make_trainer,
        finish=lambda report, run: write_table(report / "rollouts.parquet", ROLLOUTS, keeper(run).rows()),
        save_at_multiples_of=params.steps_of_a_batch(),  # a batch of rollouts that is half used would be lost
        signs=collapse_signs,
    )  # fmt: skip


def check_batches(params: GrpoParams) -> None:
    """Raises TrainingError where a batch of rollouts holds no whole groups or steps, with the nearest that does."""
    rows, processes, size = params.per_device_train_batch_size, params.launch.processes, params.num_generations
    micro, at_once, every = params.gradient_accumulation_steps, params.drawn_at_once(), params.steps_of_a_batch()
    if at_once % micro:
        raise TrainingError(
            f"grpo.steps_per_generation {at_once} is no multiple of gradient_accumulation_steps {micro}: a step would "
            f"take its completions from two batches of rollouts; {at_once + micro - at_once % micro} would be"
        )
    batch = rows * processes * at_once
    if batch % size:
        nearest = next(more for more in range(rows, rows + size + 1) if more * processes * at_once % size == 0)
        raise TrainingError(
            f"grpo: {rows} completions x {processes} processes x {at_once} micro-batches = {batch}, which is no "
            f"multiple of num_generations {size}; per_device_train_batch_size {nearest} would be"
        )
    if params.save_steps % every:
        raise TrainingError(
            f"grpo.save_steps {params.save_steps} is no multiple of {every}, the steps on one batch of rollouts: a run "
            f"that resumes there would have lost the rest; {(params.save_steps // every + 1) * every} would be"
        )


def check_vllm(params: GrpoParams) -> None:
    """Raises TrainingError where params ask for vLLM and it is not installed."""
    if params.vllm is not None and importlib.util.find_spec("vllm") is None:
        raise TrainingError(
            "grpo.vllm is set but vllm is not installed here: `make setup-gpu`, then grpo.launch.python: gpu; "
            "or grpo.vllm: null"
        )


def _grpo_arguments(params: GrpoParams, image_token: int) -> dict[str, Any]:
    """TRL's arguments; vLLM, too, must not draw `image_token`, which would have no image."""
    stock = {
        name: value
        for name, value in params.model_dump().items()
        if name not in TrainerParams.model_fields and name not in OWN
    }
    if params.vllm is None:
        return stock
    settings = {f"vllm_{name}": value for name, value in params.vllm.model_dump().items()}
    return stock | settings | {"use_vllm": True, "generation_kwargs": {"logit_bias": {image_token: NEVER}}}
