"""`lookout reward`: scores completions from a JSONL file, without a model. A line in, a line out, in the same order."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, ValidationError, model_validator

from components.core.completion import ParseFailure
from components.core.envelope import SURROGATE
from components.core.grammars import GRAMMARS
from components.core.grammars.number import LARGEST
from components.core.grammars.points import MOST_ITEMS
from components.core.scene import AnyTruth, CountTruth, TextTruth, Truth
from components.core.tasks import TASKS, USUAL
from components.core.words import Frame, Thinking
from components.errors import DataError
from components.params.datasets import GrammarName, TaskName
from components.params.model import StrictModel
from components.params.reading import first_sentence
from components.params.rewards import RewardsParams
from components.rewards import REWARDS, chosen_reading, judges, weighted_total
from components.rewards.reward import Reward
from components.store.atomic import atomic_file
from components.store.samples import Readable, read_sample, truth_of_sample

Side = Annotated[int, Field(ge=1, le=1_000_000)]
Coordinate = Annotated[float, Field(ge=-1e7, le=1e7, allow_inf_nan=False)]
Corners = Annotated[list[Coordinate], Field(min_length=4, max_length=4)]
Place = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]
WANTED: dict[type[AnyTruth], set[str]] = {
    Truth: {"truth"},
    CountTruth: {"truth_points", "truth_count"},
    TextTruth: {"truth_text"},
}
"""kind of truth -> the keys that say it, any of them."""
TRUTHS = tuple(sorted(set[str]().union(*WANTED.values())))


def whole_characters(text: str) -> str:
    """Raises ValueError where half of a character stands in a text, which no answer can equal."""
    half = SURROGATE.search(text)
    if half:
        raise ValueError(f"U+{ord(half.group()):04X} at character {half.start()} is half of a character, not text")
    return text


class TruthLine(StrictModel):
    """The truth of one question about an image, and how its answer is written.

    The task says which truth is wanted: boxes (detect, one box: ground), points or a count (count), text (read).
    """

    width: Side
    height: Side
    task: TaskName = USUAL
    answer: GrammarName | None = None
    """The grammar of the answer, where it is not the task's usual one."""
    thinking: Thinking | None = None
    """Blocks before the answer; usually look in detect, none in the others."""
    truth: list[Corners] | None = None
    truth_labels: list[Annotated[str, AfterValidator(whole_characters)]] | None = None
    truth_points: Annotated[list[Place], Field(max_length=MOST_ITEMS)] | None = None
    truth_count: Annotated[int, Field(ge=0, le=LARGEST)] | None = None
    truth_text: Annotated[str, AfterValidator(whole_characters)] | None = None
    ignore: list[Corners] = Field(default_factory=list[Corners])
    frame: Frame = "original"
    model_size: Annotated[list[Side], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self._has_truth()
        boxes = self.truth or []
        if self.truth_labels is not None and len(self.truth_labels) != len(boxes):
            raise ValueError(f"{len(self.truth_labels)} truth_labels for {len(boxes)} truth boxes")
        for name, given in (("truth", boxes), ("ignore", self.ignore)):
            inverted = [box for box in given if not (box[0] < box[2] and box[1] < box[3])]
            if inverted:
                raise ValueError(f"{name} holds the box {inverted[0]}; want x1 < x2 and y1 < y2 (is this xywh?)")
        if self.frame == "resized" and self.model_size is None:
            raise ValueError('the frame "resized" needs model_size: [width, height] of the image as the model sees it')
        return self

    def _has_truth(self) -> None:
        given = {name for name in TRUTHS if getattr(self, name) is not None}
        usual = GRAMMARS[TASKS[self.task].grammars[0]]
        wanted = WANTED[usual.truth]
        if not given & wanted or given - wanted:
            raise ValueError(f"the task {self.task} wants {' or '.join(sorted(wanted))}, got {sorted(given) or 'none'}")
        if usual.one_box and len(self.truth or []) != 1:
            raise ValueError(f"the task {self.task} wants one truth box, got {len(self.truth or [])}")
        if self.truth_points is not None and self.truth_count not in (None, len(self.truth_points)):
            raise ValueError(f"truth_count is {self.truth_count}, but there are {len(self.truth_points)} truth_points")
        possible = TASKS[self.task].grammars
        if self.grammar not in possible:
            raise ValueError(f"the task {self.task} is answered as {' or '.join(possible)}, not {self.grammar}")

    @property
    def grammar(self) -> str:
        return self.answer or TASKS[self.task].grammars[0]

    @property
    def blocks(self) -> Thinking:
        return self.thinking or TASKS[self.task].thinking

    def sample(self) -> Readable:
        """The line as a row of prompts has it."""
        count = len(self.truth_points) if self.truth_points is not None else self.truth_count
        model_size = self.model_size or (self.width, self.height)  # read in the frame "resized" only, which has it
        return {
            "answer_as": self.grammar, "thinking": self.blocks, "frame": self.frame,
            "width_px": self.width, "height_px": self.height,
            "model_width_px": model_size[0], "model_height_px": model_size[1],
            "truth_boxes": self.truth or [], "truth_labels": self.truth_labels or ["person"] * len(self.truth or []),
            "truth_visible_frac": None, "ignore_boxes": self.ignore,
            "truth_count": count, "truth_points": self.truth_points, "truth_text": self.truth_text,
        }  # fmt: skip


class CompletionWithTruth(TruthLine):
    """One completion with the truth of its image; all lines of a group show the same image."""

    group: str | int
    completion: str

    def image(self) -> dict[str, Any]:
        """What all lines of a group must share."""
        return self.model_dump(exclude={"completion"})


def score_file(completions: Path, params: RewardsParams) -> Iterator[dict[str, Any]]:
    """For each line: group, index in its group, the rewards of its task (None = not scored), total, failure.

    The total is the plain weighted sum of what the params choose. Raises DataError that names the line.
    """
    lines = [_line(completions, number, text) for number, text in _texts(completions)]
    if not lines:
        raise DataError(f"{completions} holds no completions; want a JSON object a line")
    members: dict[str | int, list[int]] = defaultdict(list)
    for i, (_, line) in enumerate(lines):
        members[line.group].append(i)
    scored: dict[int, dict[str, Any]] = {}
    rewards = {name: make(params) for name, make in REWARDS.items()}
    for rows in members.values():
        _check_one_image(completions, [lines[i] for i in rows])
        scored |= zip(rows, group_scores([lines[i][1] for i in rows], rewards, params), strict=True)
    return (scored[i] for i in range(len(lines)))


def group_scores(
    group: list[CompletionWithTruth], rewards: Mapping[str, Reward], params: RewardsParams
) -> list[dict[str, Any]]:
    """The scores of one group's completions, in order: by every reward that can judge such answers."""
    first = group[0]
    sample = first.sample()
    truth = truth_of_sample(sample)
    answers = [read_sample(line.completion, sample) for line in group]
    scores = {
        name: reward(answers, truth) for name, reward in rewards.items() if judges(name, first.grammar, first.blocks)
    }
    chosen = {name: scores[key] for name in params.weights if (key := chosen_reading(name, params)) in scores}
    total = weighted_total(chosen, params.weights) if chosen else np.full(len(group), np.nan, dtype=np.float32)
    return [
        {
            "group": first.group,
            "index": index,
            **{name: _shortest(score, index) for name, score in scores.items()},
            "total": _shortest(total, index),
            "failure": answer.reason if isinstance(answer, ParseFailure) else None,
        }
        for index, answer in enumerate(answers)
    ]


def write_scores(text: str, output: Path, completions: Path) -> None:
    """The scored lines as a file. Raises DataError where it would be the completions, or cannot be written."""
    if output.exists() and output.samefile(completions):
        raise DataError(f"{output} holds the completions that are scored, and would be lost; name another --output")
    try:
        with atomic_file(output) as partial:
            partial.write_text(text)
    except OSError as error:
        raise DataError(f"{output} cannot be written ({error.strerror}); name a file in another folder") from None


def _shortest(scores: NDArray[np.float32], index: int) -> float | None:
    """The shortest decimal that is this float32: 0.9, not 0.8999999761581421."""
    return None if np.isnan(scores[index]) else float(str(scores[index]))


def _texts(path: Path) -> Iterable[tuple[int, str]]:
    return ((number, text) for number, text in enumerate(read_text(path).split("\n"), 1) if text.strip())


def read_text(path: Path) -> str:
    """A file of UTF-8 without a byte order mark. Raises DataError."""
    try:
        content = path.read_bytes().decode()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 at byte {error.start}; want JSON Lines in UTF-8") from None
    if content.startswith("\ufeff"):
        raise DataError(f"{path}:1: the file begins with a byte order mark; save it as plain UTF-8")
    return content


def _line(path: Path, number: int, text: str) -> tuple[int, CompletionWithTruth]:
    try:
        return number, CompletionWithTruth.model_validate(json.loads(text))
    except ValidationError as error:
        raise DataError(f"{path}:{number}: {first_sentence(error, '')}") from None
    except (ValueError, RecursionError) as error:  # a JSON error is a ValueError, so is a number of 5,000 digits
        raise DataError(f"{path}:{number}: not a JSON object on one line ({error})") from None


def _check_one_image(path: Path, group: list[tuple[int, CompletionWithTruth]]) -> None:
    (first_number, first), *others = group
    wanted = first.image()
    for number, line in others:
        found = line.image()
        differing = [key for key in wanted if found[key] != wanted[key]]
        if differing:
            raise DataError(
                f"{path}:{number}: {differing[0]} of group {line.group!r} differs from line {first_number}; "
                f"a group is the completions of one prompt about one image"
            )
