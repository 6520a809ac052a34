"""vLLM's greedy answers beside those of our own sampler: the same prompts, the same answers, no image token, how fast?

`.venv-gpu/bin/python -m benchmarks.vllm_answers models/grpo data/prompts/test.parquet`, in the environment of
`make setup-gpu`. It goes beyond what `predict` does in two places: the tokens of each prompt are held against the
trainer's, and the sampled answers are searched for tokens that stand for an image.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch

from components.params.predict import PredictParams
from components.params.vllm import VllmParams
from components.policy.answering import Policy, chat
from components.policy.images import load_prompts
from components.policy.vllm import VllmPolicy
from components.store.schemas.completions import GreedyAnswer

SAMPLES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--max-new-tokens", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=32)
    chosen = parser.parse_args()
    vllm = VllmParams(mode="colocate", gpu_memory_utilization=0.4, server_base_url=None)
    params = PredictParams(
        batch_size=chosen.batch_size, max_new_tokens=chosen.max_new_tokens, threads=1, bf16=torch.cuda.is_available(),
        processes=1, samples=SAMPLES, temperature=1.0, top_p=1.0, seed=1, vllm=vllm,
    )  # fmt: skip
    rows = load_prompts(chosen.prompts)[: chosen.images]
    images, prompts = rows["image"], rows["prompt"]
    ours = Policy(chosen.model, params.max_new_tokens, params.bf16)
    answers, seconds = timed(ours, images, prompts, chosen.batch_size)
    say("ours", answers, seconds)
    began = time.monotonic()
    theirs = VllmPolicy(chosen.model, params)
    print(f"vLLM {theirs.vllm.__version__} loaded in {time.monotonic() - began:.0f} s", flush=True)
    of_vllm, seconds = timed(theirs, images, prompts, len(images))
    say("vLLM", of_vllm, seconds)
    same = sum(a["text"] == b["text"] for a, b in zip(answers, of_vllm, strict=True))
    apart = [abs(a[2] - b[2]) for one, two in zip(answers, of_vllm, strict=True) if one["text"] == two["text"]
             for a, b in zip(one["answer_tokens"] or [], two["answer_tokens"] or [], strict=True)]  # fmt: skip
    print(f"greedy answers: {same} of {len(answers)} have the same text; their log-probabilities are at most "
          f"{max(apart, default=0.0):.1e} apart", flush=True)  # fmt: skip
    seed = {"seed": 1} if torch.cuda.is_available() else {}  # the engine for CPUs refuses a seed of a request's own
    sampled = theirs._generate(images, prompts, temperature=1.0, n=SAMPLES, **seed)
    equal = sum(list(one.prompt_token_ids) == tokens_of(ours, image, prompt)
                for one, image, prompt in zip(sampled, images, prompts, strict=True))  # fmt: skip
    drawn = [token for one in sampled for output in one.outputs for token in output.token_ids]
    image_tokens = drawn.count(ours.processor.image_token_id)
    print(f"prompts: {equal} of {len(prompts)} have the trainer's tokens")
    print(
        f"sampled: {len(drawn)} tokens in {len(sampled) * SAMPLES} answers, {image_tokens} of them stand for an image"
    )
    if equal < len(prompts) or image_tokens:
        sys.exit(1)


def timed(policy: Any, images: list[Any], prompts: list[Any], size: int) -> tuple[list[GreedyAnswer], float]:
    began = time.monotonic()
    answers = [answer for start in range(0, len(images), size)
               for answer in policy.complete(images[start : start + size], prompts[start : start + size])]  # fmt: skip
    return answers, time.monotonic() - began


def say(who: str, answers: list[GreedyAnswer], seconds: float) -> None:
    tokens = sum(answer["token_count"] for answer in answers)
    print(f"{who}: {len(answers)} images in {seconds:.1f} s, {tokens / seconds:.0f} tokens/s", flush=True)


def tokens_of(policy: Policy, image: Any, prompt: list[dict[str, str]]) -> list[int]:
    inputs = policy.processor(text=[chat(policy.processor, prompt)], images=[image], return_tensors="pt")
    return inputs["input_ids"][0].tolist()


if __name__ == "__main__":
    main()
