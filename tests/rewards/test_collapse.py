"""Each reward says by itself what a policy that games it, or that has died under it, looks like."""

from __future__ import annotations

import pytest

from components.rewards import REWARDS, collapse_signs

ACCURACY = [name for name, factory in REWARDS.items() if factory.accuracy]
FORM = [name for name, factory in REWARDS.items() if not factory.accuracy]


@pytest.mark.parametrize("form", FORM)
@pytest.mark.parametrize("accuracy", ACCURACY)
def test_pay_for_form_alone_is_said_whatever_the_task(form: str, accuracy: str) -> None:
    title = "format" if form == "reasoning" else "look"
    wanted = [f"the {title} reward is high while the accuracy reward is near zero"]
    assert collapse_signs({}, {form: 0.95, accuracy: 0.01}) == wanted
    assert collapse_signs({}, {form: 0.95, accuracy: 0.4}) == []
    assert collapse_signs({}, {form: 0.3, accuracy: 0.01}) == []
    assert collapse_signs({}, {form: 0.95}) == []


@pytest.mark.parametrize("name", ACCURACY)
def test_a_reward_that_has_died_is_named_and_one_that_never_began_is_not(name: str) -> None:
    assert collapse_signs({name: 0.45}, {name: 0.01}) == [
        f"the accuracy reward {name} has fallen from 0.45 to near zero"
    ]
    assert collapse_signs({name: 0.02}, {name: 0.01}) == []
    assert collapse_signs({name: 0.45}, {name: 0.3}) == []


def test_of_several_tasks_the_one_that_is_gamed_is_named() -> None:
    means = {"reasoning": 1.0, "precision_recall": 0.5, "counting": 0.01, "ocr": 0.02}
    assert collapse_signs({}, means) == [
        "the format reward is high while the accuracy reward counting and ocr is near zero"
    ]
