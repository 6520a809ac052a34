"""Overrides are checked against the parameters before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from components.core.dotted import leaves
from components.errors import ParamsError
from components.graph.compose import overridden
from components.params.plain_yaml import load_yaml
from tests.support.workspace import REPO

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
        ("grpo.max_steps=[1", "is not valid YAML"),
        ("rewards.weights={}", "rewards"),
    ],
)
def test_what_is_no_parameter_or_does_not_fit_is_one_sentence(setting: str, sentence: str) -> None:
    with pytest.raises(ParamsError) as caught:
        overridden(TEXT, [setting])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


DATASET = "{format: crowdhuman, root: data/raw/crowd, annotations: {train: a, test: b}, role: both, licence: CC0}"
BOMB = "[&a0 [x, x], " + ", ".join(f"&a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30)) + "]"
HOSTILE = [
    (f"datasets={{'x; touch ran_a_shell #': {DATASET}}}", "is no name; want up to 64 lower-case letters"),
    (f"datasets={{'../x': {DATASET}}}", "is no name"),
    (f"datasets={{'on': {DATASET}}}", "YAML reads it as a switch"),
    ("datasets.crowd.root=data/raw/$(touch ran_a_shell)", "the character '$' may not stand in a path"),
    ("datasets.crowd.annotations={train: 'a`b`'}", "the character '`' may not stand in a path"),
    ("datasets.crowd.licence=${oc.env:HOME}", "which Hydra would replace"),
    ("synthetic.crowd.root=../somebody_elses_folder", "drawing replaces the folder"),
    ("synthetic.crowd.root=/home", "drawing replaces the folder"),
    ("synthetic.crowd.root=data", "drawing replaces the folder"),
    ("register.model_name=../x", "is no name"),
    ("register.alias=a b", "is no name"),
    ("profile='2026-01-01'", "YAML reads it as a switch, a number, a date"),
    (f"prompts.seed={BOMB}", "holds more than 100000 values"),
    ("prompts.seed=&a [*a]", "has the alias *a inside itself"),
    ("prompts.seed=" + "[" * 3000, "nested more than 20 levels deep"),
    ("prompts.seed=" + "1" * 5000, "at most 4000 are read"),
    ("prompts.labels=" + "[" + "x, " * 1300 + "1]", "prompts.labels.1300 is 1"),
    ("prompts.seed=[" + "x, " * 1300 + "1]", "prompts.seed is ['x', 'x'"),
    ("prompts.seed=2026-13-01", "is not valid YAML"),
    ("prompts.seed=!!python/object:os.system x", "is not valid YAML"),
    ("sft.learning_rate=.inf", "finite number"),
    ("a" * 3000, "is no override"),
    ("a." * 3000 + "=1", "which is no parameter"),
]


@pytest.mark.parametrize(("setting", "sentence"), HOSTILE, ids=[setting[:30] for setting, _ in HOSTILE])
def test_a_hostile_override_is_refused_in_one_short_sentence_before_anything_runs(
    setting: str, sentence: str, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.place import place

    monkeypatch.chdir(REPO)
    with pytest.raises(ParamsError) as caught, place("", [setting], "", new_datasets=True):
        raise AssertionError("it has a place to run in")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert not (own_home / "runs").exists()


def test_a_mapping_brings_new_keys_only_where_that_is_asked_for() -> None:
    setting = f"datasets={{crowd: {DATASET}, second: {DATASET}}}"
    with pytest.raises(ParamsError, match=r"brings datasets\.second, which is no parameter here; .*--new-dataset"):
        overridden(TEXT, [setting])
    after = YAML(typ="safe", pure=True).load(overridden(TEXT, [setting], new_datasets=True))
    assert list(after["datasets"]) == ["crowd", "second"]


def test_a_branch_that_keeps_a_result_has_a_plain_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.place import place

    monkeypatch.chdir(REPO)
    with pytest.raises(ParamsError, match="is no name"), place("", ["grpo.max_steps=7"], "--force"):
        raise AssertionError("it has a place to run in")


def test_more_overrides_than_a_form_needs_are_refused() -> None:
    with pytest.raises(ParamsError, match="101 overrides are given, want at most 100"):
        overridden(TEXT, ["grpo.max_steps=7"] * 101)


def test_a_value_that_every_profile_shares_is_written_once() -> None:
    files = [*sorted(Path("conf/shared").glob("*.yaml")), Path("conf/profile/dip-r1.yaml")]
    written = {path.stem: _written(path) for path in files}
    common = written.pop("common")
    assert len(common) > 50
    for name, values in written.items():
        assert values.items() & common.items() == set(), name
    assert written["gpu"].items() & (written["dip-r1"].items() | written["perception-r1"].items()) == set()


def _written(path: Path) -> dict[str, str]:
    return {key: str(value) for key, value in leaves(load_yaml(path.read_text())).items() if key != "defaults"}
