"""A study's plan, its table and its plot; that it runs and goes on is seen with DVC, in the slow tier."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.errors import ParamsError
from components.metrics.detection import ImageCounts
from components.study.plan import load_study, runs_of
from components.study.results import ArmResult, table, write_results
from tests.workspace import REPO

SMOKE = REPO / "conf/study/smoke.yaml"


@pytest.mark.parametrize("path", sorted((REPO / "conf/study").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_study_in_conf_can_be_read_and_sets_params_that_exist(path: Path) -> None:
    from components.params import Params, load_raw

    study = load_study(path)
    assert study.name == path.stem
    assert (REPO / f"conf/profile/{study.profile}.yaml").exists()
    for arm in study.arms:
        values = load_raw(REPO / "params.yaml")
        for key, value in (dict.fromkeys(study.seed_params, 1) | arm.set).items():
            *sections, name = key.split(".")
            place = values
            for section in sections:
                place = place[section]
            assert name in place, f"{arm.name} sets {key}"
            place[name] = value
        Params.model_validate(values)


def test_the_baseline_runs_first_and_every_run_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO)
    study = load_study(SMOKE)
    runs = list(runs_of(study))
    assert [(run.arm.name, run.seed) for run in runs] == [("sft", 1), ("sft", 2), ("grpo", 1), ("grpo", 2)]
    assert len({run.name for run in runs}) == 4
    assert runs[2].settings == ("profile=smoke", "sft.seed=1", "grpo.seed=1", "grpo.max_steps=2")
    changed = study.model_copy(update={"arms": [*study.arms[:1], study.arms[1].model_copy(update={"set": {}})]})
    names = [run.name for run in runs_of(changed)]
    assert names[:2] == [run.name for run in runs[:2]]  # what has not changed keeps its name, and its result
    assert names[2] != runs[2].name


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("baseline: sft", "baseline: none", "the baseline 'none' is none of the arms"),
        ("name: grpo, title", "name: sft, title", "two arms have one name"),
        ("seeds:", "seedz:", "seedz is not a parameter"),
        ("name: grpo", "name: GRPO!", "arms.1.name is 'GRPO!'"),
    ],
)
def test_a_bad_study_is_one_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(SMOKE.read_text().replace(old, new))
    with pytest.raises(ParamsError, match=sentence):
        load_study(path)


def test_the_table_and_the_plot_show_each_arm(tmp_path: Path) -> None:
    study = load_study(SMOKE)
    sft, grpo = study.arms
    metrics = {
        "detection": {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "count_mae": 1.5},
        "coco": {"AP50": 0.125},
    }
    counts = [[ImageCounts(1, 2, 4, 0.7)]] * 2
    results = [
        ArmResult(sft, counts, [metrics] * 2, [0.0, 0.0], None),
        ArmResult(grpo, counts, [metrics] * 2, [0.01, 0.03], (0.005, 0.035)),
    ]
    write_results(results, study, tmp_path)
    text = (tmp_path / "smoke.md").read_text()
    assert text == table(results, study)
    assert "| SFT | .333 | baseline |  | .500 | .250 | .125 | 1.50 |" in text
    assert "| GRPO | .333 | +0.020 [+0.005, +0.035] | +0.010 +0.030 |" in text
    assert (tmp_path / "smoke.png").read_bytes().startswith(b"\x89PNG")
    assert "Not all seeds run yet: GRPO." in table(results[:1], study)


@pytest.mark.slow
def test_a_study_runs_by_dvc_and_a_second_call_has_nothing_to_run(tmp_path: Path) -> None:
    from tests.test_end_to_end import checkout, run

    folder = checkout(tmp_path / "checkout")
    path = folder / "conf/study/smoke.yaml"
    text = path.read_text().replace("seeds: [1, 2]", "seeds: [1]").replace("max_steps: 2", "max_steps: 1")
    path.write_text(text.replace("model: sft}", "model: sft, set: {sft.max_steps: 2}}"))
    refused = run(folder, "components.cli", "study", str(path), check=False)
    assert "a study belongs to a commit, but conf/study/smoke.yaml differs" in refused.stderr
    for command in (["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "y"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    first = run(folder, "components.cli", "study", str(path), "--out", "tables")
    assert "0 of 2 runs are there" in first.stderr
    second = run(folder, "components.cli", "study", str(path), "--out", "tables")
    assert "2 of 2 runs are there" in second.stderr
    assert second.stdout == first.stdout == (folder / "tables/smoke.md").read_text() + "\n"
    unchanged = ["git", "diff", "--quiet", "params.yaml"]
    assert subprocess.run(unchanged, cwd=folder, check=False).returncode == 0
