"""`lookout score --task`: any model's answers of grounding, counting or reading against their truth.

Both files are a JSON list of objects or JSON Lines. A line of truth has `id` and what `lookout reward` takes as truth;
prompts (Parquet) are a truth too. A line of predictions has `id` and `answer`, or `completion`: the model's raw text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import ValidationError, model_validator

from components.core.boxes import as_boxes
from components.core.completion import ParseFailure
from components.core.envelope import wrapped
from components.core.grammars import GRAMMARS, AnyParsed, read_completion
from components.core.grammars.text import said
from components.core.metrics_json import TaskSummary
from components.core.number_text import interval_text, number_text
from components.core.scene import Truth
from components.core.tasks import TASKS, has_own_tables
from components.core.words import Thinking
from components.errors import DataError
from components.metrics import TASK_METRICS
from components.metrics.task import Found, Judged
from components.params.model import StrictModel
from components.params.reading import first_sentence
from components.params.score import ScoreParams
from components.scoring.files.completions import Side, TruthLine, read_text
from components.scoring.tasks import task_summary
from components.store.json_file import is_object, parse_json
from components.store.samples import Readable, truth_of_sample, view_of_sample
from components.store.schemas.prompts import PROMPTS
from components.store.tables import read_rows

Identity = str | int
SETTINGS = ScoreParams(
    min_iou=0.5, confidence="constant", convention="lookout", tie_shuffles=0, bootstrap_samples=1000, seed=0
)
"""Of these the tasks here read the bootstrap's two; all else is of detection."""
NO_BOXES = Found(as_boxes([]), (), {})
"""No task here looks at confidences."""


class AskedLine(TruthLine):
    """One question and its truth. Only boxes look at the image's size."""

    id: Identity
    width: Side = 1
    height: Side = 1

    @model_validator(mode="after")
    def _has_size(self) -> Self:
        of_boxes = GRAMMARS[self.grammar].truth is Truth
        if of_boxes and not {"width", "height"} <= self.model_fields_set:
            raise ValueError(f"the task {self.task} wants width and height of the image in pixels")
        return self


class SaidLine(StrictModel):
    """One question's answer as JSON (null: none that can be read), or the completion that holds it."""

    id: Identity
    answer: Any = None
    completion: str | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if ("answer" in self.model_fields_set) == (self.completion is not None):
            raise ValueError("want either answer or completion (the model's raw text)")
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """`sample` has the columns of prompts that say truth and frame; any of the grammars may answer it."""

    sample: Readable
    grammars: tuple[str, ...]


class AnswerScores(TaskSummary):
    """What the command prints."""

    task: str
    notes: list[str]


def score_answers(task: str, truth: Path, predictions: Path) -> AnswerScores:
    """The task's entry of metrics.json: samples, format_rate, failures, headline with its interval, numbers, notes.

    Raises DataError with the first offender where the two files do not fit.
    """
    questions = read_questions(task, truth)
    answers = _read_answers(task, questions, predictions, truth)
    truths = [truth_of_sample(question.sample) for question in questions.values()]
    judged = [Judged("", truth, answer, NO_BOXES, NO_BOXES) for truth, answer in zip(truths, answers, strict=True)]
    metric = TASK_METRICS[task]
    numbers = metric.measure(judged, SETTINGS)
    return {"task": task, **task_summary(metric, numbers, answers, SETTINGS), "notes": list(numbers.notes)}


def table(scores: AnswerScores) -> str:
    """The same in lines for a terminal; a dash for what is undefined."""
    best, ends = scores["headline"], scores["headline"]["interval"]
    interval = f"  ({interval_text(ends, 4)}, 95 % bootstrap)" if ends else ""
    lines = [f"{scores['task']}: {scores['samples']} questions, {scores['format_rate']:.4f} of the answers readable"]
    lines += [f"unreadable: {count} {reason}" for reason, count in scores["failures"].items()]
    lines.append(f"{best['name']:<26}{number_text(best['value'], 4)}{interval}")
    lines += [f"  {name:<24}{number_text(value, 4)}" for name, value in scores["numbers"].items()]
    return "\n".join(lines + [f"note: {note}" for note in scores["notes"]])


def read_questions(task: str, path: Path) -> dict[Identity, Question]:
    """The questions of one task by their id, in the file's order. Raises DataError."""
    if path.suffix == ".parquet":
        rows = [row for row in read_rows(path, PROMPTS) if row["task"] == task]
        questions: dict[Identity, Question] = {row["sample_id"]: Question(row, (row["answer_as"],)) for row in rows}
    else:
        questions = {}
        for place, row in _rows(path):
            line = _checked(AskedLine, place, {"task": task} | row)
            if line.task != task:
                raise DataError(f"{place} is of the task {line.task}, want {task}; is it another --task?")
            if line.id in questions:
                raise DataError(f"{place} repeats the id {line.id!r}; want one line of truth a question")
            questions[line.id] = Question(line.sample(), (line.answer,) if line.answer else TASKS[task].grammars)
    if not questions:
        raise DataError(f"{path} asks nothing of the task {task}; is it another --task?")
    return questions


def _read_answers(task: str, questions: dict[Identity, Question], path: Path, truth: Path) -> list[AnyParsed]:
    """One answer a question, in the questions' order."""
    found: dict[Identity, AnyParsed] = {}
    for place, row in _rows(path):
        line = _checked(SaidLine, place, row)
        if line.id not in questions:
            first = next(iter(questions))
            raise DataError(
                f"{place} answers the unknown id {line.id!r}; {truth} has ids such as {first!r}: do the two files "
                "belong together?"
            )
        if line.id in found:
            raise DataError(f"{place} repeats the id {line.id!r}; want one answer a question")
        found[line.id] = _answer(task, questions[line.id], line, place)
    missing = [name for name in questions if name not in found]
    if missing:
        raise DataError(
            f"{path} does not answer {len(missing)} of the {len(questions)} ids of {truth}, first {missing[0]!r}; "
            'a model that said nothing has "answer": null'
        )
    return [found[name] for name in questions]


def _answer(task: str, question: Question, line: SaidLine, place: str) -> AnyParsed:
    """What was said, or why it cannot be read. Raises DataError where `answer` is no answer of the task."""
    if line.completion is not None:
        return _first_readable(question, question.grammars, line.completion, question.sample["thinking"])
    if line.answer is None:
        return ParseFailure("empty", 0)
    if isinstance(line.answer, str) and "text" in question.grammars:
        return said(line.answer)
    value = _plain_value(line.answer, question.grammars)
    fitting = _fitting(value, question.grammars)
    parsed = _first_readable(question, fitting, _enveloped(value), "none") if fitting else ParseFailure("bad_shape", 0)
    if isinstance(parsed, ParseFailure) and parsed.reason == "bad_shape":
        shapes = " or ".join(GRAMMARS[name].shape for name in question.grammars)
        raise DataError(f"{place}: answer is {_short(line.answer)}, want {shapes} for the task {task}"
                        f"{_cause(task, question, value)}")  # fmt: skip
    return parsed


def _first_readable(question: Question, grammars: Sequence[str], completion: str, thinking: Thinking) -> AnyParsed:
    """The completion in the first grammar that can read it, or why the first cannot."""
    view = view_of_sample(question.sample)
    found = [read_completion(name, completion, view, thinking) for name in grammars]
    return next((one for one in found if not isinstance(one, ParseFailure)), found[0])


def _plain_value(answer: Any, grammars: Sequence[str]) -> Any:
    """JSON inside a string as its value, where text is no answer."""
    if not isinstance(answer, str) or "text" in grammars:
        return answer
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        return answer


def _fitting(value: Any, grammars: Sequence[str]) -> tuple[str, ...]:
    """The grammars whose answers are such JSON; true is no number, though it is an int to Python."""
    return tuple(
        name for name in grammars if isinstance(value, GRAMMARS[name].json_types) and not isinstance(value, bool)
    )


def _enveloped(value: Any) -> str:
    return wrapped("none", "", "", value if isinstance(value, str) else json.dumps(value))


def _cause(task: str, question: Question, value: Any) -> str:
    """The likely reason why a value is no answer of the task."""
    for other in sorted(TASKS, key=has_own_tables):
        fitting = _fitting(value, TASKS[other].grammars) if other != task else ()
        found = _first_readable(question, fitting, _enveloped(value), "none") if fitting else None
        if found is not None and (not isinstance(found, ParseFailure) or found.reason == "bad_box"):
            return f"; it is an answer of the task {other}: is it another --task?"
    return "; what a model wrote word for word goes into completion"


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object with its place; the file is a JSON list, or JSON Lines."""
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path} is empty; want a JSON list of objects, or an object a line")
    if text.lstrip().startswith("["):
        rows = ((f"{path}[{number}]", row) for number, row in enumerate(_loaded(text, str(path), "a JSON list")))
    else:
        lines = ((f"{path}:{number}", line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
        rows = ((place, _loaded(line, place, "a JSON object on one line")) for place, line in lines)
    for place, row in rows:
        if not is_object(row):
            raise DataError(f"{place} is {_short(row)}; want an object with an id")
        yield place, row


def _loaded(text: str, place: str, wanted: str) -> Any:
    return parse_json(text, place, "want a JSON list of objects, or an object a line", wanted)


Line = TypeVar("Line", bound=StrictModel)


def _checked(model: type[Line], place: str, row: dict[str, Any]) -> Line:
    try:
        return model.model_validate(row)
    except ValidationError as error:
        raise DataError(f"{place}: {first_sentence(error, '')}") from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
