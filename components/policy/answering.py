"""A loaded policy that answers prompts about images. It travels with each registered model: little is imported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import PreTrainedTokenizerBase

from components.policy.decoding import characters_of, text_of
from components.policy.device import own_device
from components.policy.folder import load_model
from components.policy.processor import Processor, load_processor
from components.policy.prompts_once import distinct_prompts, images_by_row
from components.policy.sampling import Drawn, Sampling, sample_completions
from components.store.schemas.completions import GreedyAnswer, SampledAnswer

ANSWER_TAG = "<answer>"


class Policy:
    """A loaded model folder that answers prompts about images, by no other settings than those given here."""

    def __init__(
        self, folder: Path, max_new_tokens: int, bf16: bool = False, temperature: float = 1.0, top_p: float = 1.0
    ) -> None:
        self.processor = load_processor(folder)
        self.device = own_device()
        model: Any = load_model(folder, "bfloat16" if bf16 else "float32")
        self.model = model.to(self.device).eval()
        self.max_new_tokens = max_new_tokens
        ends: Any = self.model.generation_config.eos_token_id
        self._greedy = Sampling(tuple(ends) if isinstance(ends, list) else (ends,), (self.model.config.image_token_id,))
        self._sampling = replace(self._greedy, temperature=temperature, top_p=top_p)

    @torch.inference_mode()
    def complete(
        self,
        images: list[Image.Image],
        prompts: list[list[dict[str, str]]],
        max_new_tokens: int | None = None,
        max_time: float | None = None,
    ) -> list[GreedyAnswer]:
        """text, finish_reason, token_count and answer_tokens of each prompt, greedy, one batch.

        After `max_time` seconds every answer ends where it is, as at the limit of tokens.
        """
        limits = {"max_new_tokens": max_new_tokens or self.max_new_tokens, "seconds": max_time}
        drawn = self._draw(images, prompts, 1, self._greedy, logprobs=True, **limits)
        lines: list[GreedyAnswer] = []
        for one in drawn:
            line, length = self._line(one.tokens)
            spans = answer_tokens(self.processor.tokenizer, one.tokens[:length], one.logprobs[:length], line["text"])
            lines.append({**line, "answer_tokens": spans})
        return lines

    @torch.inference_mode()
    def sample(
        self, images: list[Image.Image], prompts: list[list[dict[str, str]]], count: int, seed: int
    ) -> list[SampledAnswer]:
        """`count` sampled answers to each prompt, one prompt's after another's; the same for the same seed."""
        torch.manual_seed(seed)
        drawn = self._draw(images, prompts, count, self._sampling, max_new_tokens=self.max_new_tokens)
        return [self._line(one.tokens)[0] for one in drawn]

    def _draw(
        self,
        images: list[Image.Image],
        prompts: list[list[dict[str, str]]],
        count: int,
        sampling: Sampling,
        **limits: Any,
    ) -> list[Drawn]:
        """`count` completions of each prompt, one prompt's after another's."""
        texts = [chat(self.processor, prompt) for prompt in prompts]
        options: dict[str, Any] = {"return_tensors": "pt", "padding": True}
        inputs = self.processor(text=texts, images=images, **options).to(self.device)
        by_row = images_by_row(len(texts), inputs["pixel_values"], inputs["image_grid_thw"])
        distinct = distinct_prompts(self.model, inputs["input_ids"], inputs["attention_mask"], by_row)
        each = replace(distinct, owner=distinct.owner.repeat_interleave(count))
        return sample_completions(self.model, each, sampling, **limits)

    def _line(self, tokens: list[int]) -> tuple[SampledAnswer, int]:
        length = next((i for i, token in enumerate(tokens) if token in self._greedy.ends), len(tokens))
        text = text_of(self.processor.tokenizer, tokens[:length])
        reason = "stop" if length < len(tokens) else "length"
        return {"text": text, "finish_reason": reason, "token_count": length}, length


def chat(processor: Processor, prompt: list[dict[str, str]]) -> str:
    """The prompt as the model reads it: the image in front of the text."""
    messages = [
        {"role": turn["role"], "content": [{"type": "image"}, {"type": "text", "text": turn["content"]}]}
        for turn in prompt
    ]
    return processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)


def answer_tokens(
    tokenizer: PreTrainedTokenizerBase, tokens: list[int], logprobs: list[float], text: str
) -> list[tuple[int, int, float]] | None:
    """(first character, one behind the last, log-probability) of each token that ends behind <answer>.

    All tokens where there is no such tag; None where nobody can say which characters a token stands for.
    """
    characters = characters_of(tokenizer, tokens, text)
    if characters is None:
        return None
    begins = text.find(ANSWER_TAG)
    return [
        (start, end, round(logprob, 5))
        for (start, end), logprob in zip(characters, logprobs, strict=True)
        if end > max(begins, start)
    ]
