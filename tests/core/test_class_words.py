"""Class words and flags mean the same whatever their case, their spaces and their type."""

from __future__ import annotations

import pytest

from components.core.class_words import ClassWords, proposed_classes
from components.core.flags import flag_of


@pytest.mark.parametrize("word", ["person", "Person", "PERSON", " person ", "person\t"])
def test_a_word_matches_whatever_its_case_and_spaces(word: str) -> None:
    for words in (ClassWords.of({}, ["person"]), ClassWords.of({"Person": "PERSON", "*": "other"}, ["person"])):
        assert words.label(word) == "person"
        assert words.knows(word)
        assert words.asks_for(word)
        assert words.label(word, ignored=True) == "ignore"


def test_words_of_other_scripts_fold_too() -> None:
    words = ClassWords.of({"ПЕШЕХОД": "person", "Straße": "other"}, ["person"])
    assert [words.label(word) for word in ("пешеход", "STRASSE", "кот")] == ["person", "other", "ignore"]
    assert not words.knows("кот")


def test_a_map_to_no_label_is_found() -> None:
    assert ClassWords.of({"dog": "animal", "cat": "Other", "man": "Person"}, ["person"]).strays == {"dog": "animal"}


def test_only_what_can_mean_nothing_else_is_taken_for_a_person() -> None:
    assert proposed_classes(["Pedestrians ", "rider", "car"], ["person"]) == {"pedestrians": "person", "*": "other"}
    assert proposed_classes(["car", "person"], ["car"]) == {"car": "car", "*": "other"}
    assert proposed_classes(["rider", "行人"], ["person"]) == {}


@pytest.mark.parametrize("value", [0, 0.0, False, None, "0", "false", "False", " 0 "])
def test_a_flag_that_is_not_set(value: object) -> None:
    assert flag_of(value) is False


@pytest.mark.parametrize("value", [1, 1.0, True, "1", "true", "TRUE"])
def test_a_flag_that_is_set(value: object) -> None:
    assert flag_of(value) is True


@pytest.mark.parametrize("value", [2, -1, 0.5, "", "no", "yes", [], {}, float("nan")])
def test_a_flag_that_says_nothing_clear(value: object) -> None:
    assert flag_of(value) is None
