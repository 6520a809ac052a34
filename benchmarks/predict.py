"""How many images a second does `predict` answer, beside transformers' own `generate`, and are the answers the same?

Both sides take turns on one policy with random weights, so that answers run to the limit. Ours also gives each greedy
token's log-probability, which `generate` is not asked for. Where there is a GPU, Qwen2.5-VL-3B's shapes in bf16 are
measured instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from benchmarks.grpo_step import make_policy
from benchmarks.measuring import REPEATS, Cell, Form, Table, medians, run_script

SAMPLES = 5
QUESTION = [{"role": "user", "content": "Find every person."}]


@dataclass(frozen=True, slots=True)
class Batch:
    """`images` of image_px x image_px, each answered in `tokens` tokens."""

    name: str
    size: str
    image_px: int
    images: int
    tokens: int


SHAPES: dict[Form, tuple[Batch, ...]] = {
    "smoke": (Batch("smoke", "tiny", 64, 2, 8),),
    "quick": (Batch("tiny profile", "tiny", 64, 32, 64), Batch("300 + 100", "6M", 272, 8, 100)),
    "full": (Batch("tiny profile", "tiny", 64, 32, 64), Batch("300 + 100", "6M", 272, 8, 100),
             Batch("1,000 + 200", "6M", 496, 8, 200)),
}  # fmt: skip
GPU = (Batch("1,300 + 500", "3B", 1008, 32, 500),)


def tables(form: Form) -> list[Table]:
    import torch

    torch.set_num_threads(1)
    on_gpu = torch.cuda.is_available() and form != "smoke"
    rows = [
        row for batch in (GPU if on_gpu else SHAPES[form]) for row in measured(batch, 1 if on_gpu else REPEATS[form])
    ]
    columns = ("policy and tokens", "answers", "images/s, generate", "images/s, ours", "tokens/s, generate",
               "tokens/s, ours", "times as fast", "same tokens")  # fmt: skip
    note = f"Greedy, and {SAMPLES} sampled answers to each image, from one seed on both sides."
    return [Table("Predicting a batch", columns, tuple(rows), note)]


def measured(batch: Batch, repeats: int) -> list[tuple[Cell, ...]]:
    policy, pictures = make_side(batch)
    rows: list[tuple[Cell, ...]] = []
    for count in (1, SAMPLES):
        sides = {"generate": lambda count=count: generated(policy, pictures, count, batch.tokens),
                 "ours": lambda count=count: drawn(policy, pictures, count, batch.tokens)}  # fmt: skip
        answers = {name: work() for name, work in sides.items()}  # also the warm-up
        same = sum(map(lambda a, b: a == b, *answers.values()))
        seconds = medians(sides, repeats)
        tokens = batch.images * count * batch.tokens
        rates = [work / seconds[name] for work in (batch.images, tokens) for name in sides]
        said = "greedy" if count == 1 else f"{count} sampled"
        rows.append((f"{batch.name}, {batch.size}", said, *rates, seconds["generate"] / seconds["ours"],
                     f"{same} of {batch.images * count}"))  # fmt: skip
    return rows


def make_side(batch: Batch) -> tuple[Any, list[Any]]:
    """The policy as predict has it, and random images."""
    import numpy as np
    from PIL import Image

    from components.policy.answering import Policy
    from components.policy.device import own_device
    from components.policy.sampling import Sampling

    model, processor = make_policy(batch.size, batch.image_px)
    policy = Policy.__new__(Policy)  # as loaded from a folder, without writing gigabytes first
    policy.processor, policy.device, policy.max_new_tokens = processor, own_device(), batch.tokens
    policy.model = model.to(policy.device).eval()
    policy._greedy = Sampling((), (model.config.image_token_id,))  # no token ends an answer: all run to the limit
    policy._sampling = replace(policy._greedy, temperature=1.0)
    random = np.random.default_rng(0)
    shape = (batch.image_px, batch.image_px, 3)
    return policy, [Image.fromarray(random.integers(0, 255, shape, dtype=np.uint8)) for _ in range(batch.images)]


def drawn(policy: Any, pictures: list[Any], count: int, tokens: int) -> list[list[int]]:
    import torch

    torch.manual_seed(1)
    sampling = policy._greedy if count == 1 else policy._sampling
    with torch.inference_mode():
        found = policy._draw(pictures, [QUESTION] * len(pictures), count, sampling, max_new_tokens=tokens,
                             logprobs=count == 1)  # fmt: skip
    return [one.tokens for one in found]


def generated(policy: Any, pictures: list[Any], count: int, tokens: int) -> list[list[int]]:
    """What transformers' own `generate` says, without an end token, from the same seed."""
    import torch

    from components.policy.answering import chat

    texts = [chat(policy.processor, QUESTION)] * len(pictures)
    inputs = policy.processor(text=texts, images=pictures, return_tensors="pt", padding=True).to(policy.device)
    settings: dict[str, Any] = {"do_sample": False} if count == 1 else {
        "do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "num_return_sequences": count}  # fmt: skip
    torch.manual_seed(1)
    with torch.inference_mode():
        said = policy.model.generate(**inputs, max_new_tokens=tokens, min_new_tokens=tokens, eos_token_id=None,
                                     suppress_tokens=list(policy._greedy.never), **settings)  # fmt: skip
    return said[:, inputs["input_ids"].shape[1] :].tolist()


if __name__ == "__main__":
    run_script(tables, __doc__)
