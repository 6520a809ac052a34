"""dvc.yaml lists, for every stage, the files whose change must make it stale: no more, no less."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.errors import ParamsError
from components.graph.closure import _imported, code_files
from components.graph.code_deps import check_listed, code_deps, with_code_deps
from tests.support.workspace import REPO, make_workspace, run_stage

GRAPH = YAML(typ="safe").load(Path("dvc.yaml").read_text())


@pytest.mark.parametrize("stage", sorted(GRAPH["stages"]))
def test_a_stage_depends_on_its_import_closure(stage: str) -> None:
    body = GRAPH["stages"][stage]
    listed = [dep for dep in body.get("do", body).get("deps", []) if dep.startswith("components/")]
    assert listed == code_deps(stage), "run `make deps`"


@pytest.mark.parametrize("stage", sorted(GRAPH["stages"]))
def test_dvc_counts_no_file_that_the_stage_does_not_import(stage: str) -> None:
    counted = {file.as_posix() for dep in code_deps(stage) for file in (Path(dep), *Path(dep).rglob("*.*"))}
    files, found = (
        set(code_files(stage)),
        {file for file in counted if Path(file).is_file() and "__pycache__" not in file},
    )
    assert found <= files
    assert {Path(file).name for file in files - found} <= {"__init__.py"}


def test_every_stage_has_a_module_of_its_name_and_the_other_way_round() -> None:
    modules = {path.stem for path in Path("components/stages").glob("*.py")} - {"__init__"}
    assert modules == set(GRAPH["stages"])


def test_a_reward_makes_grpo_stale_and_not_sft() -> None:
    assert "components/rewards/looking.py" in code_files("grpo")
    assert "components/rewards/looking.py" not in code_files("sft")


def test_the_report_makes_no_training_and_no_score_stale() -> None:
    for stage in ("ingest", "prompts", "sft", "grpo", "predict", "score"):
        assert not [dep for dep in code_files(stage) if dep.startswith("components/report/")]


def test_a_folder_stands_for_its_files_where_the_stage_needs_all_of_them(own_code: Path) -> None:
    rewards, stage = own_code / "components/rewards", own_code / "components/stages/own_stage.py"
    (rewards / "deep").mkdir(parents=True)
    for name in ("__init__.py", "one.py", "deep/__init__.py", "deep/two.py"):
        (rewards / name).touch()
    stage.write_text("import components.rewards.one\nimport components.rewards.deep.two")
    assert [dep for dep in code_deps("own_stage") if "rewards" in dep] == ["components/rewards"]
    (rewards / "__pycache__").mkdir()
    for beside in ("__pycache__/one.pyc", ".one.py.swp", "one.py~"):  # as Python and editors write; .dvcignore has them
        (rewards / beside).touch()
    assert [dep for dep in code_deps("own_stage") if "rewards" in dep] == ["components/rewards"]
    (rewards / "three.py").touch()
    rest = ["components/rewards/deep/two.py", "components/rewards/one.py"]
    assert [dep for dep in code_deps("own_stage") if "rewards" in dep] == rest


def test_an_init_without_code_is_no_dependency_until_it_has_some(own_code: Path) -> None:
    folder = own_code / "components/mine"
    folder.mkdir()
    for name in ("one.py", "two.py"):
        (folder / name).touch()
    (own_code / "components/stages/own_stage.py").write_text("import components.mine.one")
    text = (own_code / "dvc.yaml").read_text()
    (own_code / "dvc.yaml").write_text(text.replace("deps: [", "deps: [components/mine/one.py, "))
    for bare in ("", '"""What stands here."""\n'):
        (folder / "__init__.py").write_text(bare)
        assert [dep for dep in code_deps("own_stage") if "mine" in dep] == ["components/mine/one.py"]
        check_listed("own_stage")
    (folder / "__init__.py").write_text('"""What stands here."""\nIT = 1\n')
    assert "components/mine/__init__.py" in code_deps("own_stage")
    with pytest.raises(ParamsError, match=r"does not list components/mine/__init__.py among"):
        check_listed("own_stage")


def test_what_lies_in_a_listed_folder_is_listed(own_code: Path) -> None:
    folder = own_code / "components/mine"
    folder.mkdir()
    for name in ("__init__.py", "one.py"):
        (folder / name).write_text("IT = 1")
    (own_code / "components/stages/own_stage.py").write_text("import components.mine.one")
    with pytest.raises(ParamsError, match=r"does not list components/mine/__init__.py, components/mine/one.py"):
        check_listed("own_stage")
    text = (own_code / "dvc.yaml").read_text()
    (own_code / "dvc.yaml").write_text(text.replace("deps: [", "deps: [components/mine, "))
    check_listed("own_stage")


def test_a_listed_file_that_is_not_imported_is_taken_out() -> None:
    graph = {"stages": {"score": {"deps": ["data/x", "components/cli/main.py"]}}}
    deps = with_code_deps(graph)["stages"]["score"]["deps"]
    assert "data/x" in deps
    assert "components/cli/main.py" not in deps


def test_a_listed_module_outside_components_is_no_data() -> None:
    graph = {"stages": {"score": {"deps": ["data/x", "my_metric.py"]}}}
    assert "my_metric.py" not in with_code_deps(graph)["stages"]["score"]["deps"]


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with code of its own: a stage, a reward that it imports, and dvc.yaml that knows both."""
    for name in ("components/__init__.py", "components/stages/__init__.py", "components/stages/own_stage.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    deps = "[components/__init__.py, components/stages/__init__.py, components/stages/own_stage.py]"
    (tmp_path / "dvc.yaml").write_text(f"stages: {{own_stage: {{deps: {deps}}}}}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "components.graph.closure._imported", _imported.__wrapped__
    )  # it remembers paths, not checkouts
    return tmp_path


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("components/mine.py", "import components.mine"),
        ("components/mine.py", "def late():\n    from components import mine"),
        ("components/mine.py", "import importlib\nimportlib.import_module('components.mine')"),
        ("my_reward.py", "import my_reward"),
        ("my_rewards/__init__.py", "from my_rewards import anything"),
    ],
)
def test_a_file_that_is_imported_and_not_listed_stops_the_stage(own_code: Path, file: str, line: str) -> None:
    check_listed("own_stage")
    (own_code / file).parent.mkdir(exist_ok=True)
    (own_code / file).write_text("IT = 1")
    (own_code / "components/stages/own_stage.py").write_text(line)
    with pytest.raises(ParamsError, match=f"dvc.yaml does not list {file} among the dependencies of own_stage.*make"):
        check_listed("own_stage")


def test_a_reward_of_ones_own_stops_grpo_until_dvc_yaml_lists_it(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "w")
    (folder / "components").unlink()
    shutil.copytree(REPO / "components", folder / "components", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "my_reward.py").touch()
    table = folder / "components/rewards/__init__.py"
    table.write_text(f"{table.read_text()}\nimport my_reward  # noqa\n")
    said = run_stage(folder, "grpo", check=False).stderr
    assert said.count("\n") == 1
    assert said.startswith("error: dvc.yaml does not list my_reward.py among the dependencies of grpo")


def test_dvc_counts_no_file_that_python_or_an_editor_writes_beside_the_code() -> None:
    from dvc.repo import Repo

    with Repo(str(REPO)) as repo:
        ignored = [name for name in (".one.py.swp", "one.py~", "one.pyc", "one.py") if _ignored(repo, name)]
        assert ignored == [".one.py.swp", "one.py~", "one.pyc"]
        assert repo.dvcignore.is_ignored_dir(str(REPO / "components/rewards/__pycache__"))


def _ignored(repo: Any, name: str) -> bool:
    return repo.dvcignore.is_ignored_file(str(REPO / "components/rewards" / name))
