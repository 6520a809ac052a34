"""TRL's GRPO trainer, paying for each prompt and its image once a group instead of once a completion.

Exact mathematics: losses and gradients are those of stock TRL to floating-point noise (tests/training/
test_shared_prefix.py). What changes is the order of work: layouts of the log-probabilities in layouts.py, sampling in
policy/sampling.py. Source of the idea: Prefix Grouper, arXiv:2506.05433.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from trl.models.utils import unwrap_model_for_generation
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import split_pixel_values_by_grid, split_tensor_dict, unsplit_pixel_values_by_grid

from components.errors import TrainingError
from components.policy.families import FAMILIES
from components.policy.prompts_once import Prompts, RowImages, distinct_prompts, images_by_row
from components.policy.sampling import Sampling, sample_completions
from components.training.shared_prefix.images_once import each_image_once
from components.training.shared_prefix.layouts import Completions, Scored, layout_costs, packed, stock_cost, two_part

log = logging.getLogger("lookout.grpo")
SharedPrefix = Literal["auto", "on", "off", "observe"]
LEAST_APART = 1e-4
ROUNDINGS = 8
"""Of the weights' precision: so far may log-probabilities be from TRL's in the mean of all tokens (bf16: .06)."""


class SharedPrefixTrainer(GRPOTrainer):
    """GRPOTrainer whose log-probabilities (policy, old, reference) and sampling go by distinct prompts."""

    def __init__(self, *args: Any, shared_prefix: SharedPrefix = "auto", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings: Any = self.args
        self._for_sampling = {
            "gather_deepspeed3_params": settings.ds3_gather_for_generation,
            "gradient_checkpointing_kwargs": settings.gradient_checkpointing_kwargs,
        }
        self._asked: SharedPrefix = shared_prefix
        processor: Any = self.processing_class
        processor.image_processor = each_image_once(processor.image_processor)
        why_not = self._why_not()
        self._shares = shares_prefix(shared_prefix, why_not)
        self._checked = not (self._shares or (shared_prefix == "observe" and why_not is None))
        """Whether the first log-probabilities have been held against TRL's, or need not be."""
        self._longest: int = settings.max_completion_length
        if self._shares and self._zero3 and self.accelerator.device.type == "cuda":
            log.info("decoding is not captured: under ZeRO-3 the weights come and go; each step is launched by itself")

    def _why_not(self) -> str | None:
        """Why the prompt cannot be shared here, None where it can."""
        config = self._inner(self.model).config
        if config.model_type not in FAMILIES:  # whose positions and caches are known to work; tests hold each of them
            return f"a model of type {config.model_type} is not known to work ({', '.join(FAMILIES)} are)"
        if config.get_text_config()._attn_implementation != "sdpa":
            return f"attention is {config.get_text_config()._attn_implementation}, want sdpa"
        if self.repetition_penalty != 1.0:
            return f"grpo.repetition_penalty is {self.repetition_penalty}, want 1.0"
        return None

    def _inner(self, model: Any) -> Any:
        """The Hugging Face model itself, out of its wrappers and adapters."""
        inner: Any = self.accelerator.unwrap_model(model)
        return inner.get_base_model() if hasattr(inner, "get_base_model") else inner

    @property
    def _sampling(self) -> Sampling:
        image_token = self._inner(self.model).config.image_token_id  # a sampled one would have no image
        ends = tuple(self.eos_token_ids)
        return Sampling(ends, (image_token,), self.temperature, self.top_p, self.top_k, self.min_p)

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """TRL mixes the rows of a batch of rollouts before it is parted; here they stay in the order of their groups.

        A micro-batch of mixed rows has more prompts than it needs. The order of the prompts is the sampler's.
        """
        settings: Any = self.args
        model: Any = self.model
        parts: int = settings.steps_per_generation
        if parts == 1 or not self._shares or not model.training:
            return super()._prepare_inputs(generation_batch)
        if self._step % (parts * self.num_iterations) == 0 or self._buffered_inputs is None:
            whole: Any = split_pixel_values_by_grid(self._generate_and_score_completions(generation_batch))
            split: Any = split_tensor_dict(whole, parts)
            self._buffered_inputs = [unsplit_pixel_values_by_grid(one) for one in split]
        return self._buffered_inputs[self._step % parts]

    def _get_per_token_logps_and_entropies(
        self, *batch: Any, **fields: Any
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        if not self._checked:
            self._check(*batch, **fields)
        way = self._shared if self._shares else super()._get_per_token_logps_and_entropies
        return way(*batch, **fields)

    def _check(self, *batch: Any, **fields: Any) -> None:
        """Holds the first log-probabilities of a run against stock TRL's, over all processes.

        Raises TrainingError where they are apart and shared_prefix is on; auto goes on with TRL's own step. observe
        does so anyway, and says what sharing would save.
        """
        self._checked = True
        model, _, attention_mask, logits_to_keep = batch[:4]
        training = model.training
        model.eval()  # an adapter's dropout would draw another mask for each
        with torch.no_grad():
            ours = self._shared(*batch, **fields)[0]
            theirs = super()._get_per_token_logps_and_entropies(*batch, **fields)[0]
        model.train(training)
        said = attention_mask[:, -logits_to_keep:].bool()
        sums = torch.stack([(ours - theirs).abs()[said].sum(), said.sum()])
        together: Any = self.accelerator.reduce(sums.float(), reduction="sum")
        apart = float(together[0] / together[1].clamp(min=1))
        most = max(LEAST_APART, ROUNDINGS * torch.finfo(next(model.parameters()).dtype).eps)
        log.info("the shared prompt's log-probabilities are %.1e apart from TRL's (at most %.1e)", apart, most)
        why_not = (
            None if apart <= most else f"its log-probabilities are {apart:.1e} apart from TRL's, at most {most:.1e}"
        )
        self._shares = shares_prefix(self._asked, why_not)
        if self._asked == "observe":
            self._say_saving(*batch, **fields)

    def _say_saving(self, _model: Any, ids: Tensor, mask: Tensor, logits_to_keep: int, *_: Any, **fields: Any) -> None:
        """Logs what sharing would save of TRL's multiplications, in this process's rows of one micro-batch."""
        inner = self._inner(self.model)
        prompts = distinct_prompts(inner, ids[:, :-logits_to_keep], mask[:, :-logits_to_keep], _images(ids, fields))
        completions = Completions(ids[:, -logits_to_keep:], mask[:, -logits_to_keep:])
        least = min(layout_costs(inner.config, prompts, completions)[:2])
        log.info(
            "shared_prefix is observe: %d completions have %d prompts; auto would save %.0f %% of the multiplications "
            "of their log-probabilities",
            len(ids), len(prompts.ids), 100 * (1 - least / stock_cost(inner.config, prompts, completions)),
        )  # fmt: skip

    def _shared(
        self,
        model: nn.Module,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **fields: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """As TRL's _get_per_token_logps_and_entropies, by distinct prompts."""
        size = batch_size or len(input_ids)
        images = _images(input_ids, fields)
        scored: list[Scored] = []
        for start in range(0, len(input_ids), size):
            rows = slice(start, start + size)
            ids, mask = input_ids[rows], attention_mask[rows]
            asked, answered = slice(None, -logits_to_keep), slice(-logits_to_keep, None)
            prompts = distinct_prompts(self._inner(model), ids[:, asked], mask[:, asked], images[rows])
            with self.accelerator.autocast():
                scored.append(self._score(model, prompts, Completions(ids[:, answered], mask[:, answered])))
        entropies = torch.cat([entropy for _, entropy in scored if entropy is not None]) if compute_entropy else None
        return torch.cat([logps for logps, _ in scored]), entropies, None

    def _score(self, model: nn.Module, prompts: Prompts, completions: Completions) -> Scored:
        inner = self._inner(model)
        parted, one_pass, per_row = layout_costs(inner.config, prompts, completions)
        # a checkpointed layer takes no cache; ZeRO-3 wants one forward pass a backward pass
        cache = not (inner.is_activation_checkpointing and inner.training) and not self._zero3
        if cache and self._cheaper_for_all(parted, one_pass):
            return two_part(model, prompts, completions)
        return packed(model, prompts, completions, per_row)

    def _cheaper_for_all(self, two_passes: float, one_pass: float) -> bool:
        """Over all processes: each must take as many forward passes as the others, since DDP meets in every one."""
        costs = torch.tensor([two_passes, one_pass], device=self.accelerator.device)
        together: Any = self.accelerator.reduce(costs, reduction="sum")
        return bool(together[0] <= together[1])

    @property
    def _zero3(self) -> bool:
        plugin = self.accelerator.state.deepspeed_plugin
        return plugin is not None and plugin.zero_stage == 3

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: dict[str, Any], *args: Any, **kwargs: Any
    ) -> tuple[list[list[int]], Any]:
        if not self._shares or self.use_vllm:
            return super()._generate_single_turn(prompt_ids, images, multimodal_fields, *args, **kwargs)
        longest = max(map(len, prompt_ids))
        ids = torch.tensor([[self._tokenizer.pad_token_id] * (longest - len(one)) + list(one) for one in prompt_ids])
        mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompt_ids])
        device = self.accelerator.device
        pixels, grids = (
            None if field is None else torch.as_tensor(field, device=device)
            for field in (multimodal_fields.get("pixel_values"), multimodal_fields.get("image_grid_thw"))
        )
        by_row = images_by_row(len(ids), pixels, grids, [len(one or ()) for one in images] if images else None)
        wrapped: Any = self.model_wrapped
        with unwrap_model_for_generation(wrapped, self.accelerator, **self._for_sampling) as policy, torch.no_grad():
            prompts = distinct_prompts(self._inner(self.model), ids.to(device), mask.to(device), by_row)
            drawn = sample_completions(policy, prompts, self._sampling, self._longest, capture=not self._zero3)
        return [one.tokens for one in drawn], None


def _images(ids: Tensor, fields: Mapping[str, Any]) -> list[RowImages]:
    return images_by_row(len(ids), fields.get("pixel_values"), fields.get("image_grid_thw"), fields.get("num_images"))


def shares_prefix(asked: SharedPrefix, why_not: str | None) -> bool:
    """Whether the prompt is shared; where it cannot be, the log says why. Raises TrainingError where `on` cannot."""
    if asked == "off" or why_not is None:
        return asked in ("auto", "on")
    if asked == "on":
        raise TrainingError(f"grpo.shared_prefix is on, but {why_not}; auto or off take TRL's own step")
    log.warning("the prompt is not shared in a group (%s): TRL's own step", why_not)
    return False
