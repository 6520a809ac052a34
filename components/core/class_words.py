"""What a dataset calls things and what the prompt calls them. Words agree after stripping and case folding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

IGNORE = "ignore"
OTHER = "other"
REST = "*"
PERSON = "person"
PERSON_WORDS = frozenset({PERSON, "persons", "people", "pedestrian", "pedestrians", "human", "humans"})
"""What can mean nothing else than a person."""


def counted(counts: Mapping[str, Any]) -> tuple[int, str]:
    """How many boxes of a validated dataset are asked for, and whether they are people or things."""
    noun = "people" if "people" in counts else "things"
    return counts[noun], noun


def plain_word(word: str) -> str:
    """The word as it is compared.

    >>> plain_word("Person ")
    'person'
    """
    return word.strip().casefold()


@dataclass(frozen=True, slots=True)
class ClassWords:
    """The map of a dataset's own words to the prompt's labels."""

    labels: Mapping[str, str]
    """plain word -> the label as the prompt spells it"""
    classes: Mapping[str, str]
    """plain word of the dataset -> its label, "ignore" or "other"; empty: words are taken as they are"""

    @classmethod
    def of(cls, classes: Mapping[str, str], labels: Sequence[str]) -> ClassWords:
        """The map of a dataset's entry under these labels of the prompt."""
        spelled = {plain_word(label): label for label in labels}
        known = {IGNORE: IGNORE, OTHER: OTHER} | spelled
        mapped = {plain_word(word): known.get(plain_word(label), label) for word, label in classes.items()}
        return cls(spelled, mapped)

    def label(self, word: str, ignored: bool = False) -> str:
        """The label that a box of this word is asked as; "ignore" for a region to be ignored, "other" for the rest.

        >>> ClassWords.of({"pedestrian": "person", "*": "other"}, ["person"]).label("Pedestrian")
        'person'
        """
        key = plain_word(word)
        mapped = self.classes.get(key, self.classes.get(REST, IGNORE))
        label = mapped if self.classes else self.labels.get(key, word)
        return IGNORE if ignored and label != OTHER else label

    def knows(self, word: str) -> bool:
        """Whether the entry says what to do with this word."""
        key = plain_word(word)
        return key in self.classes or REST in self.classes if self.classes else key in self.labels

    def asks_for(self, word: str) -> bool:
        """Whether boxes of this word are to be found."""
        return plain_word(self.label(word)) in self.labels

    @property
    def strays(self) -> dict[str, str]:
        """Words that are mapped to what is neither a label nor ignore nor other."""
        known = {IGNORE, OTHER, *self.labels}
        return {word: label for word, label in self.classes.items() if plain_word(label) not in known}


def proposed_classes(words: Iterable[str], labels: Sequence[str]) -> dict[str, str]:
    """A map of the words that are labels, or that can mean nothing but a person; the rest is other.

    Empty where no word is either.

    >>> proposed_classes(["Pedestrian", "car"], ["person"])
    {'pedestrian': 'person', '*': 'other'}
    """
    spelled = {plain_word(label): label for label in labels}
    found: dict[str, str] = {}
    for key in map(plain_word, words):
        label = spelled.get(key) or (spelled.get(PERSON) if key in PERSON_WORDS else None)
        if label is not None:
            found[key] = label
    return found | {REST: OTHER} if found else {}
