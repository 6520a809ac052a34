"""The words of a page, and what their order says: jieba's words of Chinese, BLEU and METEOR (the extra `ocr`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from math import prod
from typing import Any

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_LONG_RUN = re.compile(r"([\u4e00-\u9fff]{1000})")


def has_chinese(text: str) -> bool:
    """Whether one character is a CJK ideograph, as the Fox benchmark asks."""
    return _CHINESE.search(text) is not None


def jieba_words(text: str) -> list[str]:
    """jieba's words in order, without the blanks that it counts as words. Needs the extra."""
    parted = _LONG_RUN.sub(r"\1 ", text)  # its time is quadratic in a run without punctuation
    return [word for word in _tokenizer().lcut(parted) if not word.isspace()]


@cache
def _tokenizer() -> Any:
    """jieba with the dictionary of its package, never with a cache that lies in the temporary folder."""
    tokenizer: Any = import_module("jieba").Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer


def bleu_4(said: Sequence[str], true: Sequence[str]) -> float:
    """BLEU of one page, in [0, 1]: precisions of 1- to 4-grams, geometric mean, brevity penalty. Needs the extra.

    No smoothing, as in the Fox benchmark: without a common 4-gram it is 0, so a page of three words earns nothing.
    Source: Papineni et al. 2002, by nltk's counts.
    """
    nltk: Any = import_module("nltk.translate.bleu_score")
    shares = [float(nltk.modified_precision([true], said, size)) for size in (1, 2, 3, 4)]
    return float(nltk.brevity_penalty(len(true), len(said)) * prod(shares) ** 0.25)


def meteor_exact_stem(said: Sequence[str], true: Sequence[str]) -> float:
    """METEOR of one page, in [0, 1), by equal words (case aside) and equal Porter stems only. Needs the extra.

    No synonyms: they need a corpus that is downloaded. n words in the true order earn 1 - .5 / n^3, never quite 1.
    Source: Lavie and Agarwal 2007 with nltk's alpha .9, beta 3, gamma .5.
    """
    nltk: Any = import_module("nltk.translate.meteor_score")
    return float(nltk.single_meteor_score(true, said, wordnet=_NoSynonyms()))


class _NoSynonyms:
    def synsets(self, word: str) -> list[Any]:
        del word
        return []
