"""Which label each word of a new dataset gets: its own categories are looked at, so that nobody is lost by a word."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from components.core.class_words import OTHER, REST, ClassWords, plain_word, proposed_classes
from components.errors import SourceError
from components.params.datasets import DatasetParams
from components.sources.coco import categories_of
from components.sources.source import Note, RawScene

LOOKED_AT = 500
"""Images of each split whose words are looked at, where the format keeps no list of its categories."""
MOST_SHOWN = 20


def words_of(root: Path, entry: DatasetParams) -> tuple[list[str], list[Note]]:
    """The dataset's own words in the order of their first box (COCO: its categories), and what its reader noted."""
    from components.sources.reading import annotation_paths, read_split

    words, notes = dict[str, None](), list[Note]()
    for split in entry.annotations:
        if entry.format == "coco":
            for path in annotation_paths(root, entry, split):
                words |= dict.fromkeys(categories_of(path).values())
            continue
        for row in islice(read_split(root, entry, split), LOOKED_AT):
            if isinstance(row, RawScene):
                words |= {box.label: None for box in row.boxes if not box.ignore}
            else:
                notes.append(row)
    return list(words), notes


def classes_for(
    words: Sequence[str], notes: Sequence[Note], given: Mapping[str, str], usual: Mapping[str, str],
    labels: Sequence[str], kind: str,
) -> tuple[dict[str, str], list[str]]:  # fmt: skip
    """The entry's classes, and what is to be said about them.

    given: by the user; usual: of the format as it is published; both empty: COCO's are proposed from its categories.
    Raises SourceError that lists the words where none would be asked for.
    """
    unknown = {plain_word(word) for word in given} - {plain_word(word) for word in words} - {REST}
    if unknown and kind == "coco":
        raise SourceError(f"no category is called {', '.join(sorted(unknown))}; there are {_listed(words)}")
    classes = dict(given or usual) or (proposed_classes(words, labels) if kind == "coco" else {})
    chosen = ClassWords.of(classes, labels)
    if words and (not any(map(chosen.asks_for, words)) or (kind == "coco" and not classes)):
        hint = f" ({notes[0].where}: {notes[0].reason})" if notes else ""
        proposed = proposed_classes(words, labels) or {words[0].strip(): labels[0], REST: OTHER}
        example = " ".join(f"--class {shlex.quote(f'{word}={label}')}" for word, label in proposed.items())
        raise SourceError(
            f"nobody would be asked for: the labels are {', '.join(labels)}, the dataset's words are {_listed(words)}; "
            f"say what each word is (a label, ignore or other), for instance {example}{hint}"
        )
    return classes, _said(words, chosen) if chosen.classes else []


def _said(words: Sequence[str], chosen: ClassWords) -> list[str]:
    """A line for each label: which words became it."""
    by_label: dict[str, list[str]] = {}
    for word in words:
        by_label.setdefault(chosen.label(word), []).append(word)
    return [f"{_listed(own)} -> {label}" for label, own in by_label.items()]


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - MOST_SHOWN} more" if len(words) > MOST_SHOWN else ""
    return ", ".join(repr(word) for word in words[:MOST_SHOWN]) + more
