"""The one sampler: stock generation's tokens, whichever way a step is run, and the policy's own chances."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from components.policy import sampling
from components.policy.answering import Policy, chat
from components.policy.decoding_step import DecodingStep
from components.policy.prompts_once import Prompts, distinct_prompts, images_by_row
from components.policy.sampling import Drawn, Sampling, sample_completions
from tests.support.toy_models import FAMILIES, other_model, ragged_batch, widen

IMAGE = 3
ENDS = tuple(range(30, 40))


class Replayed(DecodingStep):
    """A step as a GPU takes it, all of its room before it and its rows in halves, but launched each time."""

    kept: list[int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.captured = True

    def _capture(self) -> Callable[[], None]:
        self.kept.append(len(self._state["tokens"]))
        return lambda: self._advance(self._noise)


def prompts_of(model: Any) -> Prompts:
    batch = ragged_batch()
    images = images_by_row(6, batch["pixel_values"], batch["image_grid_thw"])
    return distinct_prompts(model, batch["input_ids"][:, :-7], batch["attention_mask"][:, :-7], images)


def toy(kind: str) -> Any:
    torch.manual_seed(2)
    model = other_model(kind, 40).eval()
    widen(model)
    return model


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("temperature", [None, 1.0])
def test_a_step_over_all_of_its_room_draws_the_same(
    kind: str, temperature: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, how = toy(kind), Sampling(ENDS, (IMAGE,), temperature)
    prompts = prompts_of(model)
    found: list[list[Drawn]] = []
    monkeypatch.setattr(sampling, "LOOK_EVERY", 2)
    monkeypatch.setattr(sampling, "LEAST_ROWS", 1)
    monkeypatch.setattr(Replayed, "kept", [], raising=False)
    for step in (DecodingStep, Replayed):
        monkeypatch.setattr(sampling, "DecodingStep", step)
        torch.manual_seed(5)
        with torch.no_grad():
            found.append(sample_completions(model, prompts, how, 24, logprobs=True))
    assert [one.tokens for one in found[0]] == [one.tokens for one in found[1]]
    for plain, replayed in zip(*found, strict=True):
        assert plain.logprobs == pytest.approx(replayed.logprobs, abs=1e-4)
    assert Replayed.kept == sorted(Replayed.kept, reverse=True)
    assert Replayed.kept[0] == 6
    assert len({len(one.tokens) for one in found[0]}) > 1  # rows ended at different steps
    if temperature is not None:
        assert len(Replayed.kept) > 1  # and left


@pytest.mark.parametrize("kind", FAMILIES)
def test_sampling_follows_the_policys_own_chances(kind: str) -> None:
    """The likeliest token, and near a temperature of 0 the drawn one, is that of a plain pass over all before it."""
    model = toy(kind)
    batch = ragged_batch()
    asked, mask = batch["input_ids"][:, :-7], batch["attention_mask"][:, :-7]
    with torch.no_grad():
        for how in (Sampling((39,), (IMAGE,)), Sampling((39,), (IMAGE,), temperature=1e-4)):
            drawn = sample_completions(model, prompts_of(model), how, 6, logprobs=True)
            whole = torch.tensor([one.tokens + [0] * (6 - len(one.tokens)) for one in drawn])
            whole = torch.cat([asked, whole], dim=1)
            logits = model(
                input_ids=whole, attention_mask=torch.cat([mask, torch.ones(6, 6)], dim=1).long(),
                mm_token_type_ids=(whole == IMAGE).int(),
                **{name: batch[name] for name in ("pixel_values", "image_grid_thw")},
            ).logits[:, -7:-1]  # fmt: skip
            chances = logits.log_softmax(-1)
            logits[..., IMAGE] = -torch.inf
            for row, one in enumerate(drawn):
                likeliest = logits[row].argmax(-1)[: len(one.tokens)].tolist()
                assert one.tokens == likeliest
                wanted = [float(chances[row, place, token]) for place, token in enumerate(likeliest)]
                assert one.logprobs == pytest.approx(wanted, abs=1e-4)
            assert len({tuple(one.tokens) for one in drawn}) == 3  # one a prompt


@pytest.fixture(scope="module")
def asked(prepared: Path) -> tuple[Policy, list[Any], list[Any]]:
    """The tiny policy, wide, and four questions, two of them the same."""
    policy = Policy(prepared / "models/base", 40, temperature=0.7, top_p=0.9)
    widen(policy.model)
    policy._greedy = Sampling((*policy._greedy.ends, *range(40, 46)), policy._greedy.never)  # so that answers end
    policy._sampling = Sampling(policy._greedy.ends, policy._greedy.never, 0.7, 0.9)
    images = [Image.new("RGB", size, colour) for size, colour in
              (((64, 64), "red"), ((64, 32), "blue"), ((64, 64), "red"), ((32, 64), "green"))]  # fmt: skip
    texts = ["Find every person.", "Find all.", "Find every person.", "Who is there?"]
    return policy, images, [[{"role": "user", "content": text}] for text in texts]


def stock(policy: Policy, images: list[Any], prompts: list[Any], **options: Any) -> list[list[int]]:
    """What transformers' own `generate` says, cut behind each row's end."""
    texts = [chat(policy.processor, prompt) for prompt in prompts]
    inputs = policy.processor(text=texts, images=images, return_tensors="pt", padding=True)
    ends, never = list(policy._greedy.ends), list(policy._greedy.never)
    settings = {"max_new_tokens": 40, "eos_token_id": ends, "top_k": 0, "suppress_tokens": never} | options
    with torch.inference_mode():
        said = policy.model.generate(**inputs, **settings)[:, inputs["input_ids"].shape[1] :].tolist()
    return [row[: next((place for place, token in enumerate(row) if token in ends), len(row)) + 1] for row in said]


def test_answers_are_those_of_stock_generation(
    asked: tuple[Policy, list[Any], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, images, prompts = asked
    drawn: list[list[Drawn]] = []

    def watched(*args: Any, **kwargs: Any) -> list[Drawn]:
        drawn.append(sample_completions(*args, **kwargs))
        return drawn[-1]

    monkeypatch.setattr("components.policy.answering.sample_completions", watched)
    greedy, sampled = policy.complete(images, prompts), policy.sample(images, prompts, count=3, seed=4)
    assert [one.tokens for one in drawn[0]] == stock(policy, images, prompts, do_sample=False)
    torch.manual_seed(4)
    options = {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "num_return_sequences": 3}
    assert [one.tokens for one in drawn[1]] == stock(policy, images, prompts, **options)
    assert greedy[0] == greedy[2] != greedy[1]
    assert {line["finish_reason"] for line in sampled} == {"stop", "length"}
    assert len({line["text"] for line in sampled}) > 6


def test_answers_end_when_their_time_is_over(asked: tuple[Policy, list[Any], list[Any]]) -> None:
    lines = asked[0].complete(*asked[1:], max_time=0.0)
    assert {(line["finish_reason"], line["token_count"]) for line in lines} == {("length", 1)}
