"""The tasks by name: what of each must be known before a model, an image or a file is there.

Names alone, so that params can check theirs and depend on nothing else. What a task asks, pays, measures and shows
stands in prompting.questions, rewards, metrics and report.tasks (docs/add_a_task.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from components.core.words import Thinking


@dataclass(frozen=True, slots=True)
class TaskNames:
    """How a task is answered, and the names that are its own.

    `grammars`: keys of core.grammars.GRAMMARS that it may be answered in, the first is the usual one. `rewards`: what
    rewards.weights may name for it. `tables`: tables of metrics.json beside the task's own numbers.
    """

    grammars: tuple[str, ...]
    rewards: tuple[str, ...]
    tables: tuple[str, ...] = ()
    thinking: Thinking = "none"
    """Blocks before the answer, where a line of `lookout reward` does not say."""
    asks_of_boxes: bool = False
    """Whether an image's boxes are enough to ask about it: no questions of the dataset's own are needed."""
    finds_all: bool = False
    """Whether everything of the prompt's labels is to be found: labels, heights and crowds say something then."""


USUAL = "detect"
"""The task of a dataset's entry that names none."""

TASKS: dict[str, TaskNames] = {
    "detect": TaskNames(
        ("boxes",),
        ("looking", "precision_recall", "perception_r1"),
        ("detection", "coco", "coco_500", "crowdhuman", "citypersons"),
        "look",
        asks_of_boxes=True,
        finds_all=True,
    ),
    "ground": TaskNames(("box",), ("grounding",)),
    "count": TaskNames(("points", "number"), ("counting", "counting_number"), asks_of_boxes=True),
    "read": TaskNames(("text",), ("ocr",)),
}


def named(name: str, known: tuple[str, ...]) -> str:
    """The name itself. Raises ValueError that lists the known ones.

    >>> named("count", ("detect", "count"))
    'count'
    """
    if name not in known:
        *most, last = (repr(one) for one in known)
        raise ValueError(f"Input should be {', '.join(most)} or {last}")
    return name


def task_name(name: str) -> str:
    """The name of a task. Raises ValueError."""
    return named(name, tuple(TASKS))


def grammar_name(name: str) -> str:
    """The name of a grammar that some task is answered in. Raises ValueError."""
    return named(name, tuple(dict.fromkeys(grammar for task in TASKS.values() for grammar in task.grammars)))


def reward_names() -> tuple[str, ...]:
    """What rewards.weights may name: the reward of form, and each task's own."""
    return ("reasoning", *(reward for task in TASKS.values() for reward in task.rewards))


def table_names() -> tuple[str, ...]:
    """The tables of metrics.json that tasks have beside their own numbers."""
    return tuple(table for task in TASKS.values() for table in task.tables)


def table_or_task_name(name: str) -> str:
    """The name of a table of metrics.json, or of a task. Raises ValueError."""
    return named(name, (*table_names(), *TASKS))


def has_own_tables(task: str) -> bool:
    """Whether a task's numbers stand in tables of their own; False for one that is not known here."""
    return task in TASKS and bool(TASKS[task].tables)
