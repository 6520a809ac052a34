"""Datasets: `datasets.<name>`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from components.core.tasks import USUAL, grammar_name, task_name
from components.core.words import Role, Split
from components.params.model import LONGEST_VALUE, StrictModel
from components.params.names import Name, PathText, texts_of
from components.params.reading import checked

TaskName = Annotated[str, AfterValidator(task_name)]
GrammarName = Annotated[str, AfterValidator(grammar_name)]


class FetchParams(StrictModel):
    """How `lookout fetch-images` downloads."""

    workers: int = Field(default=16, ge=1, le=256)
    tries: int = Field(default=4, ge=1)
    """For one URL; what may pass (a timeout, status 429 or 5xx) is tried again, what is gone is not."""
    timeout_s: float = Field(default=30.0, gt=0)
    """The longest silence of a server."""
    most_s: float = Field(default=120.0, gt=0)
    """One image takes at most so long, however little of it comes at a time; it is not tried again."""
    most_bytes: int = Field(default=50_000_000, ge=1)
    """A larger answer is no image of ours."""
    hosts: list[str] = Field(default_factory=list)
    """Hosts that may be asked although their address is not public (a mirror in one's own network)."""


class ExpectedParams(StrictModel):
    """What is known of a dataset beforehand; another count is an error of validation."""

    images: dict[Split, int] = Field(default_factory=dict)
    min_mean_people: float | None = Field(default=None, ge=0)
    max_mean_people: float | None = Field(default=None, gt=0)


class TilingParams(StrictModel):
    """Cuts an image into tiles, each a sample of its own; the predictions are merged again."""

    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    overlap_frac: float = Field(ge=0, lt=1)
    """Share of a tile's side that it has in common with its neighbour."""


class DatasetParams(StrictModel):
    """One dataset: `datasets.<name>`."""

    format: str
    task: TaskName = USUAL
    """What is asked about its images; it chooses prompt, grammar, rewards and metrics."""
    answer: GrammarName | None = None
    """How to answer, where it is not the task's usual way: count by points or by number."""
    root: PathText
    annotations: dict[Split, PathText | list[PathText]]
    """Annotation files (or folders) of each split, relative to the root; `*` stands for many."""
    images: PathText | dict[Split, PathText] | None = None
    """Folder of the images, where it is not the format's usual one."""
    rows_without_class: bool = False
    role: Role
    """train: its train split trains; eval: its val and test splits are evaluated on; both."""
    licence: str
    box: Literal["full", "visible", "head"] = "full"
    """Which box of a person is to be found; one without it becomes an ignore region."""
    classes: dict[str, str] = Field(default_factory=dict)
    """The dataset's own word -> the prompt's label, "ignore" (an ignore region) or "other" (not asked about).

    `*` stands for every other word. Empty: words are taken as they are. Case and spaces around a word do not count.
    """
    sampling_weight: float = Field(default=1.0, gt=0)
    """How much of the training samples come from here, beside the other datasets' weights."""
    max_samples: int | None = Field(default=None, ge=1)
    """At most so many training samples from here."""
    template: PathText | None = None
    """Prompt template of its own, where prompts.template does not fit."""
    labels: list[str] | None = Field(default=None, min_length=1)
    tiling: TilingParams | None = None
    expected: ExpectedParams = ExpectedParams()
    fetch: FetchParams = FetchParams()
    leakage: Literal["stop", "drop"] = "stop"
    """A training image that stands in val or test too stops validation, or is refused by name and counted."""

    @model_validator(mode="after")
    def _no_templates(self) -> DatasetParams:
        for text in texts_of(self.model_dump()):
            if "${" in text:
                raise ValueError(f"{text[:LONGEST_VALUE]!r} holds '${{', which Hydra would replace; leave it out")
        return self

    def files(self, split: Split) -> list[str]:
        """The split's annotation entries, as a list."""
        entry = self.annotations[split]
        return [entry] if isinstance(entry, str) else entry

    def image_folder(self, split: Split) -> str | None:
        return self.images.get(split) if isinstance(self.images, dict) else self.images


Datasets = dict[Name, DatasetParams]


def check_entry(entry: dict[str, Any]) -> DatasetParams:
    """A new entry of `datasets:`. Raises ParamsError that names the key."""
    return checked(DatasetParams, entry, Path("the dataset's entry"), "")
