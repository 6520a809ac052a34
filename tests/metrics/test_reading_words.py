"""BLEU, METEOR and jieba's words of a page: numbers by hand, and the page without the extra that they come with."""

from __future__ import annotations

import sys

import pytest

from components.core.boxes import as_boxes
from components.core.completion import ParseFailure
from components.core.extras import has_ocr_extra
from components.core.grammars.answers import TextAnswer
from components.core.scene import TextTruth
from components.metrics.detection import pooled
from components.metrics.page_words import bleu_4, jieba_words, meteor_exact_stem
from components.metrics.reading import reading_numbers
from components.metrics.task import TaskNumbers

CHINESE = "我来到北京清华大学"  # jieba: 我 来到 北京 清华大学
NEAR = "我来到北京大学"  # jieba: 我 来到 北京大学


@pytest.fixture
def extra() -> None:
    for name in ("nltk", "jieba"):
        pytest.importorskip(name)


@pytest.fixture
def no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nltk", "jieba"):
        monkeypatch.setitem(sys.modules, name, None)


def read(*pages: tuple[str | None, str]) -> TaskNumbers:
    """The numbers of pages as (said, true); None is an answer that cannot be read."""
    said = [ParseFailure("structure", 0) if text is None else TextAnswer("", as_boxes([]), text) for text, _ in pages]
    return reading_numbers(said, [TextTruth(true) for _, true in pages])


@pytest.mark.usefixtures("extra")
@pytest.mark.parametrize(
    ("said", "true", "bleu"),
    [
        # 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 fours: their product is 1 / 12
        ("the cat sat on the mat", "the cat sat on a mat", (1 / 12) ** 0.25),
        ("the cat sat on", "the cat sat on a mat", 0.6065307),  # all right, but short: exp(1 - 6 / 4)
        ("the cat sat on a mat", "the cat sat on", (4 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25),
        ("the cat sat on a mat", "the cat sat on a mat", 1.0),
        ("a b c d", "a b c e", 0.0),  # no common four: nothing is smoothed
        ("the cat sat", "the cat sat", 0.0),  # nor has three words a four
    ],
)
def test_bleu_by_hand_and_without_smoothing(said: str, true: str, bleu: float) -> None:
    assert bleu_4(said.split(), true.split()) == pytest.approx(bleu)


@pytest.mark.usefixtures("extra")
def test_bleu_is_what_the_fox_benchmark_calls() -> None:
    from nltk.translate import bleu

    said, true = "it is a guide to action which obeys it", "it is a guide to action that obeys"
    assert bleu_4(said.split(), true.split()) == pytest.approx(bleu([true.split()], said.split()))


@pytest.mark.usefixtures("extra")
@pytest.mark.parametrize(
    ("said", "true", "meteor"),
    [
        # 3 of 3 said, 3 of 4 written: .75 / (.9 * 1 + .1 * .75); one chunk of three takes .5 / 27
        ("the cats sat", "the cat sat down", 0.75 / 0.975 * (1 - 0.5 / 27)),
        ("sat the cat", "the cat sat", 1 - 0.5 * (2 / 3) ** 3),  # two chunks
        ("The Cat sat", "the cat sat", 1 - 0.5 / 27),
        ("car", "automobile", 0.0),  # a synonym is none
        ("dog", "cat", 0.0),
    ],
)
def test_meteor_by_hand_knows_words_and_stems_only(said: str, true: str, meteor: float) -> None:
    assert meteor_exact_stem(said.split(), true.split()) == pytest.approx(meteor)


@pytest.mark.usefixtures("extra")
def test_what_says_nothing_scores_zero_and_never_stops() -> None:
    numbers = read(("", "a b c d"), (None, "a b c d"), ("a b c d", "a b c d"), (" ", " "), ("x", ""))
    # the third and the fourth page are right
    assert numbers.table["bleu_4"] == pytest.approx(2 / 5)
    assert numbers.table["meteor_exact_stem"] == pytest.approx((1 - 0.5 / 64 + 1) / 5)
    assert numbers.table["edit_distance"] == pytest.approx(3 / 5)


@pytest.mark.usefixtures("extra")
def test_jieba_splits_the_pages_that_have_chinese_on_either_side_and_no_others() -> None:
    numbers = read((NEAR, CHINESE), ("one, two", "one, three"), ("北京 is it", "it is"))
    assert [(one.matched, one.predicted, one.truth) for one in numbers.counts] == [(2, 3, 4), (1, 2, 2), (2, 3, 2)]
    assert numbers.table["precision"] == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3)
    assert numbers.table["recall"] == pytest.approx((2 / 4 + 1 / 2 + 1) / 3)
    assert numbers.table["jieba_pages"] == pytest.approx(2 / 3)
    assert numbers.notes == ("words end at white space; those of the 2 of 3 pages with Chinese are jieba's",)
    assert read(("one", "one")).notes == ("words end at white space",)


@pytest.mark.usefixtures("extra")
def test_a_run_without_end_is_cut_at_a_thousand_characters_and_blanks_are_no_words() -> None:
    assert jieba_words("中" * 3000) == jieba_words("中" * 1000) * 3  # jieba alone takes minutes for 100,000
    assert jieba_words("清华大学 and 北京") == ["清华大学", "and", "北京"]


@pytest.mark.usefixtures("no_extra")
def test_without_the_extra_the_columns_are_empty_and_a_line_says_how_to_get_them() -> None:
    numbers = read(("the cat sat on", "the cat sat on"), (NEAR, CHINESE))
    assert not has_ocr_extra()
    assert (numbers.table["bleu_4"], numbers.table["meteor_exact_stem"]) == (None, None)
    assert numbers.table["jieba_pages"] == 0.0
    assert [(one.matched, one.predicted, one.truth) for one in numbers.counts] == [(4, 4, 4), (0, 1, 1)]
    assert numbers.notes == (
        "words end at white space, also in the 1 of 2 pages with Chinese",
        "bleu_4 and meteor_exact_stem and the words of Chinese need the extra ocr: "
        "pip install -c constraints.txt -e '.[ocr]'",
    )
    assert read(("a", "b")).notes[1].startswith("bleu_4 and meteor_exact_stem need the extra ocr: pip install")


def test_half_of_the_extra_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jieba", None)
    assert read(("a", "b")).table["bleu_4"] is None


@pytest.mark.usefixtures("extra")
def test_without_chinese_the_extra_only_adds_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [("the cat sat", "the cat sat down"), ("", "x"), (None, "y z"), ("a  b", "a b")]
    with_extra = read(*pages)
    for name in ("nltk", "jieba"):
        monkeypatch.setitem(sys.modules, name, None)
    without = read(*pages)
    assert with_extra.counts == without.counts
    assert pooled(with_extra.counts) == pooled(without.counts)
    same = {name: value for name, value in without.table.items() if value is not None}
    assert same == {name: with_extra.table[name] for name in same}
    assert set(with_extra.table) == set(without.table)
