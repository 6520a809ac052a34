"""Everything that can go wrong by a user's hand, as one tree.

    LookoutError               one sentence for the user, exit code 1
    ├── ParamsError            params.yaml: a mistyped, missing or out-of-range key
    ├── SourceError            a dataset on disk is not what its format says
    ├── DataError              a file between stages is missing, broken or of another schema version
    │   └── ImageError         an image file cannot be used; `defect` says why in a word
    ├── QualityError           validation found what must not reach training
    ├── ModelError             a model folder lacks something or cannot be loaded
    ├── TrainingError          a training cannot start, or ended before its work was done
    ├── RegistryError          the registry or a lineage does not hold what was asked for
    │   └── RecallError        what is recalled cannot be looked up everywhere; exit code 2
    └── ServerError            a server cannot be started, or does not answer

A message says what, where, got, wanted and the likely cause, in one sentence.
Whatever is not in this tree is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

from typing import Any


class LookoutError(Exception):
    """A failure that the user can mend; its text is all that the command line shows."""


class ParamsError(LookoutError):
    """params.yaml has a mistyped, missing or out-of-range key."""


class SourceError(LookoutError):
    """A dataset on disk is not what its format says."""


class DataError(LookoutError):
    """A file between stages is missing, broken or of another schema version."""


class ImageError(DataError):
    """An image file cannot be used; the defect in a word or two, as validation lists it, and the whole sentence."""

    def __init__(self, defect: str, sentence: str) -> None:
        super().__init__(sentence)
        self.defect = defect


class QualityError(LookoutError):
    """Validation found what must not reach training."""


class ModelError(LookoutError):
    """A model folder lacks something or cannot be loaded."""


class TrainingError(LookoutError):
    """A training cannot start, or ended before its work was done."""


class RegistryError(LookoutError):
    """The registry or a lineage does not hold what was asked for."""


class RecallError(RegistryError):
    """What is recalled cannot be looked up in every version: "none" would be no answer. `found`: what was found."""

    def __init__(self, sentence: str, found: list[dict[str, Any]]) -> None:
        super().__init__(sentence)
        self.found = found


class ServerError(LookoutError):
    """A server cannot be started, or does not answer."""
