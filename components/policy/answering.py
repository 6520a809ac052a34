"""A loaded policy that answers prompts about images. It travels with each registered model: little is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from components.policy.decoding import characters_of, text_of
from components.policy.device import own_device
from components.policy.folder import load_model
from components.policy.processor import load_processor
from components.store.schemas.completions import GreedyAnswer, SampledAnswer

ANSWER_TAG = "<answer>"


class _ChosenLogProbs(LogitsProcessor):
    """The log-probability of the likeliest token of each step: the greedy choice. (B,) a step, not (B, vocabulary)."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.steps.append(scores.float().log_softmax(-1).amax(-1))
        return scores


class Policy:
    """A loaded model folder that answers prompts about images, by no other settings than those given here."""

    def __init__(
        self, folder: Path, max_new_tokens: int, bf16: bool = False, temperature: float = 1.0, top_p: float = 1.0
    ) -> None:
        self.processor = load_processor(folder)
        self.device = own_device()
        self.model = load_model(folder, "bfloat16" if bf16 else "float32").to(self.device).eval()
        self.max_new_tokens = max_new_tokens
        self._sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}

    @torch.inference_mode()
    def complete(
        self,
        images: list[Any],
        prompts: list[list[dict[str, str]]],
        max_new_tokens: int | None = None,
        max_time: float | None = None,
    ) -> list[GreedyAnswer]:
        """text, finish_reason, token_count and answer_tokens of each prompt, greedy, one batch.

        After `max_time` seconds every answer ends where it is, as at the limit of tokens.
        """
        chosen = _ChosenLogProbs()
        limits = {"max_new_tokens": max_new_tokens or self.max_new_tokens, "max_time": max_time}
        processors = LogitsProcessorList([chosen])
        tokens = self._generate(images, prompts, do_sample=False, logits_processor=processors, **limits)
        logprobs = torch.stack(chosen.steps, dim=1).tolist()
        lines: list[GreedyAnswer] = []
        for row, values in zip(tokens, logprobs, strict=True):
            line, length = self._line(row)
            spans = answer_tokens(self.processor.tokenizer, row[:length], values[:length], line["text"])
            lines.append({**line, "answer_tokens": spans})
        return lines

    @torch.inference_mode()
    def sample(
        self, images: list[Any], prompts: list[list[dict[str, str]]], count: int, seed: int
    ) -> list[SampledAnswer]:
        """`count` sampled answers to each prompt, one prompt's after another's; the same for the same seed."""
        torch.manual_seed(seed)
        options = {"max_new_tokens": self.max_new_tokens, "num_return_sequences": count} | self._sampling
        return [self._line(row)[0] for row in self._generate(images, prompts, **options)]

    def _generate(self, images: list[Any], prompts: list[list[dict[str, str]]], **options: Any) -> list[list[int]]:
        texts = [chat(self.processor, prompt) for prompt in prompts]
        inputs = self.processor(text=texts, images=images, return_tensors="pt", padding=True).to(self.device)
        answer = self.model.generate(**inputs, **options)
        return answer[:, inputs["input_ids"].shape[1] :].tolist()

    def _line(self, tokens: list[int]) -> tuple[SampledAnswer, int]:
        ends = self.model.generation_config.eos_token_id
        stops = set(ends if isinstance(ends, list) else [ends])
        length = next((i for i, token in enumerate(tokens) if token in stops), len(tokens))
        text = text_of(self.processor.tokenizer, tokens[:length])
        reason = "stop" if length < len(tokens) else "length"
        return {"text": text, "finish_reason": reason, "token_count": length}, length


def chat(processor: Any, prompt: list[dict[str, str]]) -> str:
    """The prompt as the model reads it: the image in front of the text."""
    messages = [
        {"role": turn["role"], "content": [{"type": "image"}, {"type": "text", "text": turn["content"]}]}
        for turn in prompt
    ]
    return processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)


def answer_tokens(
    tokenizer: Any, tokens: list[int], logprobs: list[float], text: str
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
