"""Overrides are checked against the parameters before anything runs."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from components.compose import overridden
from components.errors import ParamsError
from tests.workspace import REPO

TEXT = (REPO / "params.yaml").read_text()


def test_an_override_changes_its_value_and_nothing_else() -> None:
    before = YAML(typ="safe", pure=True).load(TEXT)
    after = YAML(typ="safe", pure=True).load(overridden(TEXT, ["rewards.weights.looking=0.5", "grpo.max_steps = 7"]))
    assert (after["rewards"]["weights"]["looking"], after["grpo"]["max_steps"]) == (0.5, 7)
    after["rewards"]["weights"]["looking"] = before["rewards"]["weights"]["looking"]
    after["grpo"]["max_steps"] = before["grpo"]["max_steps"]
    assert after == before


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("looking", "'looking' is no override: want KEY=VALUE"),
        ("rewards.weigths.looking=1", "names rewards.weigths, which is no parameter"),
        ("grpo.max_steps.x=1", "names grpo.max_steps.x, which is no parameter"),
        ("grpo.max_steps=many", "grpo.max_steps is 'many'"),
        ("grpo.max_steps=[1", "is no YAML value"),
        ("rewards.weights={}", "rewards"),
    ],
)
def test_what_is_no_parameter_or_does_not_fit_is_one_sentence(setting: str, sentence: str) -> None:
    with pytest.raises(ParamsError) as caught:
        overridden(TEXT, [setting])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
