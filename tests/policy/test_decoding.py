"""One text of a completion everywhere, and for each of its boxes the probability of its own tokens."""

from __future__ import annotations

import json
import math
import shutil
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from components.core.completion import Answer, parse, span_confidence
from components.core.frames import ImageView
from components.errors import ModelError
from components.params.base import BaseParams
from components.params.predict import PredictParams
from components.params.reading import load_section
from components.params.rewards import RewardsParams
from components.policy.answering import Policy, answer_tokens
from components.policy.decoding import characters_of, text_of
from components.policy.device import own_device
from components.policy.sampling import Drawn, Sampling
from components.policy.tiny import build_tokenizer
from components.training.group_rewards import GroupRewards
from tests.training.test_training_parts import columns

VIEW = ImageView(64, 64)
BOXES = '{"bbox_2d":[1,1,20,40],"label":"person"}', '{"bbox_2d":[30,1,50,40],"label":"%s"}'
THIRD = '{"bbox_2d":[55,1,60,40],"label":"person"}'


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Bytes and numbers, as the tiny policy has them, and special tokens that a policy may write."""
    build = load_section(BaseParams).build
    assert build is not None
    made = build_tokenizer(build.model_copy(update={"pieces": []}))
    made.add_special_tokens({"additional_special_tokens": ["<|box_start|>", "<|box_end|>"]})
    return made


def completion(thought: str = "x", label: str = "person") -> str:
    items = ",".join((BOXES[0], BOXES[1] % label, THIRD))
    return f"<think>{thought}</think><look>[]</look><answer>[{items}]</answer>"


@pytest.mark.parametrize("text", [completion(), completion("I see 3 🧍."), completion("① é"), completion("x", "𠮷"),
                                  completion("👩‍👩‍👧 𠮷", "é🧍")])  # fmt: skip
def test_each_box_has_the_probability_of_its_own_tokens(tokenizer: Any, text: str) -> None:
    tokens = tokenizer(text)["input_ids"]
    answer = parse(text_of(tokenizer, tokens), VIEW)
    assert isinstance(answer, Answer)
    # one sure token each, but for all those of the second box
    begins, ends = (len(tokenizer(text[:place])["input_ids"]) for place in answer.spans[1])
    values = [-0.5 if begins <= place < ends else 0.0 for place in range(len(tokens))]
    found = answer_tokens(tokenizer, tokens, values, text)
    assert [span_confidence(span, found) for span in answer.spans] == [1.0, pytest.approx(math.exp(-0.5)), 1.0]


def test_a_token_of_part_of_a_character_has_that_character(tokenizer: Any) -> None:
    tokens = tokenizer("a🧍b")["input_ids"]
    assert characters_of(tokenizer, tokens, "a🧍b") == [(0, 1), *[(1, 2)] * 4, (2, 3)]


def test_bytes_that_are_no_text_move_nothing_behind_them(tokenizer: Any) -> None:
    tokens = tokenizer("ab🧍cd")["input_ids"]
    broken = [*tokens[:4], *tokens[5:]]  # the third of the character's four bytes is missing
    text = text_of(tokenizer, broken)
    found = characters_of(tokenizer, broken, text)
    assert found is not None
    assert [text[slice(*found[place])] for place in (0, 1, -1)] == ["a", "b", "d"]


def test_tokens_that_do_not_give_the_text_back_have_no_probability() -> None:
    words = PreTrainedTokenizerFast(
        tokenizer_object=_metaspace({"▁<answer>": 0, "[]": 1, "</answer>": 2}), clean_up_tokenization_spaces=False
    )
    text = text_of(words, [0, 1, 2])
    assert text == "<answer>[]</answer>"
    assert answer_tokens(words, [0, 1, 2], [0.0] * 3, text) is None
    assert span_confidence((8, 10), None) is None


def _metaspace(vocabulary: dict[str, int]) -> Tokenizer:
    made = Tokenizer(models.WordLevel(vocabulary))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return made


def test_an_answer_without_our_tag_has_the_probability_of_its_tokens_too(tokenizer: Any) -> None:
    text = f"[{BOXES[0]}]"
    tokens = tokenizer(text)["input_ids"]
    found = answer_tokens(tokenizer, tokens, [-1.0] * len(tokens), text)
    assert span_confidence((1, len(text) - 1), found) == pytest.approx(math.exp(-1))


def test_a_special_token_that_the_policy_writes_is_no_text_for_rewards_predict_and_vllm_alike(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = completion()
    written = text.replace("[{", "[<|box_start|>{").replace("]</answer>", "<|box_end|>]</answer>")
    tokens = tokenizer(written)["input_ids"]
    end = tokenizer.eos_token_id
    assert tokenizer.convert_tokens_to_ids("<|box_start|>") in tokens
    rewards = GroupRewards(load_section(RewardsParams), 2, partial(text_of, tokenizer))
    rewards.functions()[0](completions=[None] * 2, completion_ids=[[*tokens, end]] * 2, **columns(["a", "a"]))
    assert [row["text"] for row in rewards.groups[0]] == [text, text]
    policy = policy_saying(tokenizer, [*tokens, end])
    (line,) = policy.complete([None], [[{"role": "user", "content": "x"}]])
    assert (line["text"], line["finish_reason"]) == (text, "stop")
    assert all(start < stop for start, stop, _ in line["answer_tokens"])
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=lambda **_: None))
    monkeypatch.setattr("components.policy.vllm.load_processor", lambda _: SimpleNamespace(tokenizer=tokenizer))
    from components.policy.vllm import VllmPolicy

    params = PredictParams(batch_size=1, max_new_tokens=8, threads=1, bf16=False, processes=1, samples=0,
                           temperature=1.0, top_p=1.0, seed=1, vllm=None)  # fmt: skip
    output = SimpleNamespace(token_ids=[*tokens, end], finish_reason="stop")
    assert VllmPolicy(Path("x"), params)._line(output)[0]["text"] == text


def policy_saying(tokenizer: Any, tokens: list[int]) -> Policy:
    """A policy that draws these tokens, whatever it is asked."""
    policy = Policy.__new__(Policy)
    policy.processor, policy.max_new_tokens = SimpleNamespace(tokenizer=tokenizer), 8  # type: ignore[assignment]
    policy._greedy = Sampling((tokenizer.eos_token_id,), ())
    policy._draw = lambda *_, **__: [Drawn(tokens, [-1.0] * len(tokens))]  # type: ignore[method-assign]
    return policy


def test_of_a_folders_generation_config_only_its_end_and_pad_tokens_act(prepared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(prepared / "models/base", tmp_path / "published")
    theirs = json.loads((folder / "generation_config.json").read_text())
    acts = {"do_sample": True, "temperature": 0.01, "top_k": 1, "top_p": 0.001, "repetition_penalty": 1.5}
    (folder / "generation_config.json").write_text(json.dumps(theirs | acts))
    policy, plain = (Policy(one, 12, temperature=1.0, top_p=0.9) for one in (folder, prepared / "models/base"))
    one = [Image.new("RGB", (64, 64))], [[{"role": "user", "content": "Find every person."}]]
    assert policy.complete(*one) == plain.complete(*one)  # a penalty on what was said would change it
    texts = {line["text"] for line in policy.sample(*one, count=4, seed=1)}
    assert len(texts) > 1  # top_p .001 and top_k 1 would give one text


def test_each_of_several_processes_takes_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert own_device() == "cuda:0"
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert own_device() == "cuda:3"
    assert chosen == [0, 3]
    monkeypatch.setenv("LOCAL_RANK", "4")
    with pytest.raises(ModelError, match="process 4 of this machine wants a GPU of its own, but 4 are there"):
        own_device()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert own_device() == "cpu"
