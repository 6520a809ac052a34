"""The OCR reward: how few edits away the text is, without pay for saying things again and again."""

from __future__ import annotations

from collections import Counter

from components.core.grammars.answers import TextAnswer
from components.core.scene import TextTruth
from components.core.text import edit_distance, plain
from components.rewards.reward import Reward, per_answer

GRAM = 10
"""Characters: a repeated run of so many is a repetition, not a common word."""
SLACK_CHARS = 32


def make(settings: object) -> Reward:
    """(1 - edits / the longer length) x (1 - excess repetition), in [0, 1]. It has no settings.

    Both texts empty 1, one empty 0; a text longer than twice the truth and 32 characters 0.
    Source: Perception-R1, arXiv:2504.07954 (edit distance); the excess is ours (docs/decisions/0018).
    """
    del settings
    return per_answer(TextAnswer, TextTruth, _score)


def _score(answer: TextAnswer, truth: TextTruth) -> float:
    said, true = plain(answer.text), plain(truth.text)
    if not said or not true:
        return float(said == true)
    if len(said) > 2 * len(true) + SLACK_CHARS:
        return 0.0
    return (1 - edit_distance(said, true) / max(len(said), len(true))) * (1 - excess(said, true))


def excess(said: str, true: str) -> float:
    """The share of the text's runs of ten characters that stand there more often than in the truth, and than once."""
    found = _grams(said)
    if not found:
        return 0.0
    repeated = {gram: count for gram, count in found.items() if count > 1}
    there = _grams(true) if repeated else Counter[str]()
    return sum(max(0, count - max(1, there[gram])) for gram, count in repeated.items()) / found.total()


def _grams(text: str) -> Counter[str]:
    return Counter(text[start : start + GRAM] for start in range(len(text) - GRAM + 1))
