"""What a stage imports decides what runs again: the rooms and the sections of params that each stage may touch."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from components.graph.closure import code_files

BODIES = {
    name: stage.get("do", stage)
    for name, stage in YAML(typ="safe").load(Path("dvc.yaml").read_text())["stages"].items()
}
EVERYWHERE = {"__init__.py", "errors.py", "core", "machine", "params", "stages", "store"}
ROOMS = {
    "synthesize": {"drawing"},
    "ingest": {"sources"},
    "validate": {"quality"},
    "base": {"policy"},
    "prompts": {"policy", "prompting"},
    "sft": {"graph", "policy", "training"},
    "grpo": {"graph", "policy", "training", "rewards"},
    "predict": {"policy"},
    "score": {"metrics", "scoring"},
    "report": {"metrics", "report"},
    "register": {"graph", "metrics", "model_registry", "policy"},  # of policy: what a base takes over of a version
}
FOR_ALL = {"__init__", "model", "names", "plain_yaml", "reading", "sizes", "trainer", "vllm"}
"""Modules of components/params that are no section of their own."""
BESIDE = {
    "prompts": {"base"},  # models/base changes with it, and prompts depends on that
    "report": {"register"},  # the model's name, in one sentence
}
"""Sections that a stage reads, and DVC need not watch for it."""
FILE_OF = {"synthetic": "drawing"}


@pytest.mark.parametrize("stage", sorted(BODIES))
def test_a_stage_touches_its_rooms_and_no_others(stage: str) -> None:
    touched = {path.split("/")[1] for path in code_files(stage)}
    assert touched - EVERYWHERE <= ROOMS[stage]


@pytest.mark.parametrize("stage", sorted(set(BODIES) - {"register"}))  # it records the whole of params.yaml
def test_a_stage_depends_on_the_sections_that_dvc_watches_for_it(stage: str) -> None:
    watched = {name.split(".")[0] for name in BODIES[stage]["params"]} - {"profile"}
    sections = {Path(path).stem for path in code_files(stage) if path.startswith("components/params/")} - FOR_ALL
    assert sections - BESIDE.get(stage, set()) == {FILE_OF.get(name, name) for name in watched}


STARTS = {
    "components/machine/children.py", "components/machine/quiet.py", "components/machine/refusals.py",
    "components/machine/training_lock.py", "components/operations/stage.py", "components/policy/extensions.py",
    "components/policy/launch.py", "components/policy/meeting.py",
}  # fmt: skip
"""How a stage is started, guarded, spread over processes, and how its failure is told: that decides no output."""


@pytest.mark.parametrize("stage", sorted(set(BODIES) - {"synthesize", "ingest"}))  # these two have pools of their own
def test_how_a_stage_is_started_makes_none_stale(stage: str) -> None:
    assert STARTS.isdisjoint(code_files(stage))


def test_training_depends_on_one_module_of_the_graph() -> None:
    for stage in ("sft", "grpo"):
        found = {Path(path).name for path in code_files(stage) if path.startswith("components/graph/")}
        assert found == {"__init__.py", "closure.py"}


def test_register_depends_on_one_module_of_the_policy() -> None:
    assert {path for path in code_files("register") if path.startswith("components/policy/")} == {
        "components/policy/__init__.py", "components/policy/registered.py"
    }  # fmt: skip
