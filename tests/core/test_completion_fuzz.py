"""A hundred thousand random and mutated completions: the parser and the rewards raise nothing."""

from __future__ import annotations

import collections
import random
import typing

import numpy as np
import pytest

from components.core.boxes import as_boxes
from components.core.completion import Answer, ParseFailure, parse
from components.core.envelope import FailureReason
from components.core.frames import ImageView
from components.core.scene import Truth
from components.params.reading import load_section
from components.params.rewards import RewardsParams
from components.rewards import REWARDS

COUNT = 100_000
GROUP = 20
GOLD = (
    '<think>I see 2; 1 overlap.</think><look>[[1,2,30,40]]</look><answer>[{"bbox_2d":[1,2,30,40],"label":"person"},'
    '{"bbox_2d":[5.5,-3,22,61e0],"label":"Person "}]</answer>'
)
BLANK = "<think> \n</think><look>[]</look><answer>[]</answer>"
PIECES = [
    "<think>", "</think>", "<look>", "</look>", "<answer>", "</answer>", "<", ">",
    "[", "]", "{", "}", ",", ":", '"', "\\", '\\"', "[" * 40, "]" * 40, "[[1,2,3,4]]",
    "NaN", "-Infinity", "1e999", "9" * 400, "-", "0", "1.5", "0x10", "true", "null",
    '"bbox_2d"', '"label"', '{"bbox_2d":[1,2,3,4],"label":"x"}',
    "\n", " ", "\u2028", "\x00", "\ud800", "é", "😀",
]  # fmt: skip
VIEWS = [ImageView(64, 48), ImageView(640, 480, "resized", (64, 48)), ImageView(64, 48, "relative_1000")]


def mutated(rng: random.Random) -> str:
    text = "".join(rng.choices(PIECES, k=rng.randrange(30))) if rng.random() < 0.2 else rng.choice((GOLD, GOLD, BLANK))
    for _ in range(rng.choice((0, 1, 1, 2, 3, 8))):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.randrange(12))
        kind = rng.randrange(5)
        if kind == 0:
            text = text[:start] + text[end:]
        elif kind == 1:
            text = text[:start] + rng.choice(PIECES) + text[start:]
        elif kind == 2:
            text = text[:end] + text[start:]
        elif kind == 3:
            text = text[:start]
        else:
            text = text[:start] + rng.choice(PIECES) + text[end:]
    return text


@pytest.mark.slow
def test_no_text_raises_and_every_reason_is_met() -> None:
    rng = random.Random(20261121)
    rewards = [make(load_section(RewardsParams)) for make in REWARDS.values()]
    seen: collections.Counter[str] = collections.Counter()
    for _ in range(COUNT // GROUP):
        view = rng.choice(VIEWS)
        group = [parse(text, view) for text in (mutated(rng) for _ in range(GROUP))]
        for answer in group:
            seen[answer.reason if isinstance(answer, ParseFailure) else "answer"] += 1
            boxes = answer.boxes if isinstance(answer, Answer) else answer.salvaged
            assert np.isfinite(boxes).all()
            assert (boxes >= 0).all()
            assert (boxes <= [view.width_px, view.height_px] * 2).all()
            assert (boxes[:, :2] < boxes[:, 2:]).all()
        people = as_boxes([[1, 2, 30, 40], [5.5, 0, 22, 48]])
        truth = Truth(people, ("person",) * 2, as_boxes([]), view.width_px, view.height_px)
        for reward in rewards:
            scores = reward(group, truth)
            assert ((scores >= 0) & (scores <= 1) | np.isnan(scores)).all()
    assert sum(seen.values()) == COUNT
    met = set(typing.get_args(FailureReason)) - {"too_long", "too_many"}  # the other grammars' tests
    assert set(seen) == {"answer", *met}, seen
