"""Greedy completions as raw text, with the log-probability of each token of the answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from components.params import PredictParams
from components.store.atomic import atomic_file
from components.training.data import load_prompts
from components.training.policy import load_model
from components.training.processor import load_processor

log = logging.getLogger("lookout.predict")
SCHEMA = "completions/1"
ANSWER_TAG = "<answer>"
Line = dict[str, Any]


def predict_file(model_folder: Path, prompts: Path, out: Path, params: PredictParams, progress: Any) -> int:
    """One line of JSON a sample into `out`, in the prompts' order; the number of samples."""
    dataset = load_prompts(prompts)
    torch.set_num_threads(params.threads)
    policy = Policy(model_folder, params)
    with atomic_file(out) as partial, partial.open("w") as file:
        for batch in progress(_batches(dataset, params.batch_size), "predict"):
            for sample_id, line in zip(
                batch["sample_id"], policy.complete(batch["image"], batch["prompt"]), strict=True
            ):
                file.write(json.dumps({"schema": SCHEMA, "sample_id": sample_id} | line, ensure_ascii=False) + "\n")
    return len(dataset)


def _batches(dataset: Dataset, size: int) -> Iterator[dict[str, list[Any]]]:
    for start in range(0, len(dataset), size):
        yield dataset[start : start + size]


class Policy:
    """A loaded model folder that answers prompts about images."""

    def __init__(self, folder: Path, params: PredictParams) -> None:
        self.processor = load_processor(folder)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = load_model(folder, "bfloat16" if params.bf16 else "float32").to(self.device).eval()
        self.max_new_tokens = params.max_new_tokens

    @torch.inference_mode()
    def complete(self, images: list[Any], prompts: list[list[dict[str, str]]]) -> list[Line]:
        """text, finish_reason, token_count and answer_tokens of each prompt, greedy, one batch."""
        texts = [self._chat(prompt) for prompt in prompts]
        inputs = self.processor(text=texts, images=images, return_tensors="pt", padding=True).to(self.device)
        answer = self.model.generate(
            **inputs,
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
        tokens = answer.sequences[:, inputs["input_ids"].shape[1] :]
        logits = torch.stack(answer.logits, dim=1).float()  # (B, T, vocabulary)
        logprobs = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
        return [self._line(row.tolist(), logprob.tolist()) for row, logprob in zip(tokens, logprobs, strict=True)]

    def _chat(self, prompt: list[dict[str, str]]) -> str:
        messages = [
            {"role": turn["role"], "content": [{"type": "image"}, {"type": "text", "text": turn["content"]}]}
            for turn in prompt
        ]
        return self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)

    def _line(self, tokens: list[int], logprobs: list[float]) -> Line:
        tokenizer = self.processor.tokenizer
        ends = self.model.generation_config.eos_token_id
        stops = set(ends if isinstance(ends, list) else [ends])
        length = next((i for i, token in enumerate(tokens) if token in stops), len(tokens))
        text = tokenizer.decode(tokens[:length], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return {
            "text": text,
            "finish_reason": "stop" if length < len(tokens) else "length",
            "token_count": length,
            "answer_tokens": answer_tokens(tokenizer, tokens[:length], logprobs[:length], text),
        }


def answer_tokens(tokenizer: Any, tokens: list[int], logprobs: list[float], text: str) -> list[tuple[int, int, float]]:
    """(first character, one behind the last, log-probability) of each token that ends behind <answer>.

    A token of part of a character decodes to nothing yet: its range is empty and no box takes it.
    """
    begins = text.find(ANSWER_TAG)
    if begins < 0:
        return []
    spans: list[tuple[int, int, float]] = []
    end = 0
    for token, logprob in zip(tokens, logprobs, strict=True):
        piece = tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        whole = text.startswith(piece, end)
        start, end = end, end + len(piece) if whole else end
        if end > begins:
            spans.append((start, end, round(logprob, 5)))
    return spans
