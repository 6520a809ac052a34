"""dvc.yaml lists, for every stage, the files whose change must make it stale: no more, no less."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from components.code_deps import code_deps, with_code_deps

GRAPH = YAML(typ="safe").load(Path("dvc.yaml").read_text())


@pytest.mark.parametrize("stage", sorted(GRAPH["stages"]))
def test_a_stage_depends_on_its_import_closure(stage: str) -> None:
    body = GRAPH["stages"][stage]
    listed = [dep for dep in body.get("do", body).get("deps", []) if dep.startswith("components/")]
    assert listed == code_deps(stage), "run `make deps`"


def test_every_stage_has_a_module_of_its_name_and_the_other_way_round() -> None:
    modules = {path.stem for path in Path("components/stages").glob("*.py")} - {"__init__"}
    assert modules == set(GRAPH["stages"])


def test_a_reward_makes_grpo_stale_and_not_sft() -> None:
    assert "components/rewards/looking.py" in code_deps("grpo")
    assert "components/rewards/looking.py" not in code_deps("sft")


def test_the_report_makes_no_training_and_no_score_stale() -> None:
    for stage in ("ingest", "prompts", "sft", "grpo", "predict", "score"):
        assert not [dep for dep in code_deps(stage) if dep.startswith("components/report/")]


def test_a_listed_file_that_is_not_imported_is_taken_out() -> None:
    graph = {"stages": {"score": {"deps": ["data/x", "components/cli.py"]}}}
    deps = with_code_deps(graph)["stages"]["score"]["deps"]
    assert "data/x" in deps
    assert "components/cli.py" not in deps
