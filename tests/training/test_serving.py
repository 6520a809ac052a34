"""The served model: one pyfunc for every task, the task in the request."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from components.training import serving

TASKS = {
    "count": {"prompt_form": "Count every {phrase}.", "phrase": "person", "answer_as": "points", "thinking": "none"},
    "ground": {"prompt_form": "Find: {phrase}", "phrase": "x", "answer_as": "box", "thinking": "none"},
    "read": {"prompt_form": "Read.", "phrase": None, "answer_as": "text", "thinking": "none"},
    "detect": {"prompt_form": "Find every person.", "phrase": None, "answer_as": "boxes", "thinking": "look"},
}
SAYS = {
    "Count every person.": "<answer>[[3,4],[10,10]]</answer>",
    "Count every cat.": "<answer>7</answer>",
    "Find: the red one": "<answer>[1,2,30,40]</answer>",
    "Read.": "<answer>12 b</answer>",
    "Find every person.": '<think>t</think><look>[]</look><answer>[{"bbox_2d":[1,2,3,4],"label":"person"}]</answer>',
}


class Policy:
    """Answers by the prompt's words."""

    def __init__(self) -> None:
        images = SimpleNamespace(size={"shortest_edge": 4096, "longest_edge": 4096}, patch_size=8, merge_size=2)
        self.processor = SimpleNamespace(image_processor=images)

    def complete(self, images: list[Any], prompts: list[Any], limit: int | None) -> list[dict[str, Any]]:
        return [{"text": SAYS[prompt[0]["content"]], "answer_tokens": [(0, 999, 0.0)]} for prompt in prompts]


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    from PIL import Image

    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    model = serving.LookoutModel()
    model._policy = Policy()
    context = SimpleNamespace(model_config={"tasks": TASKS, "frame": "resized", "max_new_tokens": 8})

    def predict(rows: Any, **options: Any) -> list[dict[str, Any]]:
        given = [{"image": str(tmp_path / "a.png")} | row for row in rows]
        return model.predict(context, options.pop("as_table", list)(given), options)

    return predict


def test_each_row_is_answered_in_its_own_task(ask: Any) -> None:
    rows = [{}, {"task": "ground", "phrase": "the red one"}, {"task": "read"}, {"task": "detect"}]
    for table in (list, pd.DataFrame):  # a table has NaN where a row says nothing
        count, ground, read, detect = ask(rows, as_table=table)
        assert (count["task"], count["count"], count["points"]) == ("count", 2, [[3, 4], [10, 10]])
        assert (ground["boxes"], ground["labels"], ground["scores"]) == ([[1, 2, 30, 40]], [""], [1.0])
        assert (read["text"], read["boxes"], read["points"]) == ("12 b", [], [])
        assert (detect["labels"], detect["think"], detect["failure"]) == (["person"], "t", None)
        assert len({frozenset(one) for one in (count, ground, read, detect)}) == 1


def test_an_answer_in_another_grammar_is_a_failure_by_name(ask: Any) -> None:
    (said,) = ask([{"phrase": "cat"}])
    assert (said["failure"], said["count"], said["points"]) == ("bad_shape", 0, [])


def test_a_task_that_the_model_was_not_trained_for_is_refused(ask: Any) -> None:
    with pytest.raises(MlflowException, match=r"row 0: the task 'dream' is not this model's; it answers count, ground"):
        ask([{"task": "dream"}])


def test_points_are_drawn_too(ask: Any) -> None:
    (said,) = ask([{}], overlay=True)
    assert len(said["overlay"]) > 100
