"""A study's plan, its table and its plot; that it runs and goes on is seen with DVC, in the slow tier."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from components.errors import DataError, ParamsError
from components.metrics.detection import ImageCounts
from components.study.columns import tokens_per_answer
from components.study.plan import Study, load_study, runs_of
from components.study.results import ArmResult, RunScores, arm_result, table, write_results
from tests.support.scored import scored_inputs
from tests.support.workspace import REPO

SMOKE = REPO / "conf/study/smoke.yaml"


@pytest.mark.parametrize("path", sorted((REPO / "conf/study").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_study_in_conf_can_be_read_and_sets_params_that_exist(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.graph.compose import composed, overridden

    monkeypatch.chdir(REPO)
    study = load_study(path)
    assert study.name == path.stem
    text = composed(study.profile)
    for run in runs_of(study):
        overridden(text, run.settings)  # as `dvc exp run` does, it refuses a key that the profile has not


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


COUNTS = [ImageCounts(1, 2, 4, 0.7)] * 2
PREDICTION = {"tokens": 36, "images": 2, "samples_per_image": 1}


def detection() -> dict[str, Any]:
    return {
        "detection": {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "count_mae": 1.5},
        "coco": {"AP50": 0.125},
        "headline": {"name": "F1 at .5", "value": 1 / 3, "interval": None},
        "tasks": {"detect": {}},
    }


def of_task(task: str, headline: str, **numbers: float) -> dict[str, Any]:
    return {
        "format_rate": 0.75,
        "headline": {"name": headline, "value": 0.5, "interval": None},
        "tasks": {task: {"numbers": numbers}},
        "prediction": PREDICTION,
    }


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that a plot has drawn and written."""
    import matplotlib as mpl

    mpl.use("Agg")
    figures: list[Any] = []
    monkeypatch.setattr("matplotlib.pyplot.close", figures.append)
    return figures


def results_of(study: Study, metrics: dict[str, Any]) -> list[ArmResult]:
    runs = [RunScores(["a", "b"], COUNTS, metrics)] * 2
    gains = ([0.0, 0.0], [0.01, 0.03])
    intervals = (None, (0.005, 0.035))
    return [ArmResult(*one) for one in zip(study.arms, [runs, runs], gains, intervals, strict=True)]


def test_the_table_and_the_plot_show_each_arm(tmp_path: Path, drawn: list[Any]) -> None:
    study = load_study(SMOKE)
    results = results_of(study, detection())
    write_results(results, study, tmp_path)
    text = (tmp_path / "smoke.md").read_text()
    assert text == table(results, study)
    assert "2 held-out images, greedy answers" in text
    assert "| arm | F1 at .5 | gain [95 %] | gain by seed | precision | recall | AP50 | count error |\n" in text
    assert "| SFT | .333 | baseline |  | .500 | .250 | .125 | 1.50 |" in text
    assert "| GRPO | .333 | +0.020 [+0.005, +0.035] | +0.010 +0.030 |" in text
    (axes,) = drawn[0].axes
    bar, rings, mean, zero = [np.asarray(line.get_xdata()).tolist() for line in axes.lines]
    assert (bar, rings, mean, zero) == ([0.005, 0.035], [0.01, 0.03], [pytest.approx(0.02)], [0, 0])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["GRPO"]  # the baseline has no gain
    assert axes.get_xlabel().startswith("F1 at .5, gain over “SFT”\n")
    with Image.open(tmp_path / "smoke.png") as image:
        assert image.size == (1040, 197)
        assert (18, 56, 95) in {colour for _, colour in image.convert("RGB").getcolors(1 << 20)}  # the mean's dot
    assert "Not all seeds run yet: GRPO." in table(results[:1], study)
    before_tasks = {key: value for key, value in detection().items() if key not in ("headline", "tasks")}
    assert table(results_of(study, before_tasks), study) == text


@pytest.mark.parametrize(
    ("metrics", "titles", "numbers"),
    [
        (
            of_task("count", "exact counts", exact=0.5, within_1=0.875, mae=1.25, rmse=2.0),
            "within 1 | mean error | format rate | tokens an answer",
            ".875 | 1.25 | .750 | 9.00",
        ),
        (
            of_task("ground", "accuracy at IoU .5", accuracy_50=0.5, mean_iou=0.625, centre=1.0),
            "mean IoU | format rate | tokens an answer",
            ".625 | .750 | 9.00",
        ),
        (
            of_task("read", "F1 of words", edit_distance=0.25, exact=0.125, f1=0.375),
            "edit distance | exact | F1, mean over pages | format rate | tokens an answer",
            ".250 | .125 | .375 | .750 | 9.00",
        ),
        (of_task("point", "points hit", hit=0.5), "format rate | tokens an answer", ".750 | 9.00"),
        (
            of_task("count", "F1 at .5 and exact counts, pooled")
            | {
                "tasks": {
                    "detect": {"headline": {"name": "F1 at .5", "value": 0.125}},
                    "count": {"headline": {"name": "exact counts", "value": None}},
                }
            },
            "F1 at .5 | exact counts | format rate | tokens an answer",
            ".125 |  | .750 | 9.00",
        ),
    ],
    ids=["count", "ground", "read", "a task of somebody's own", "two tasks"],
)
def test_each_task_has_its_headline_and_its_own_columns(
    tmp_path: Path, drawn: list[Any], metrics: dict[str, Any], titles: str, numbers: str
) -> None:
    study = load_study(SMOKE)
    results = results_of(study, metrics)
    text = table(results, study)
    name = metrics["headline"]["name"]
    assert f"| arm | {name} | gain [95 %] | gain by seed | {titles} |\n" in text
    assert f"| GRPO | .500 | +0.020 [+0.005, +0.035] | +0.010 +0.030 | {numbers} |\n" in text
    assert f"2 held-out samples, greedy answers. Numbers are means over seeds. Gain: {name} less that of" in text
    write_results(results, study, tmp_path)
    assert drawn[0].axes[0].get_xlabel().startswith(f"{name}, gain over")


def test_tokens_that_were_not_counted_are_not_0() -> None:
    assert tokens_per_answer({"prediction": None}) is None


def test_arms_that_answer_other_samples_are_not_held_against_each_other() -> None:
    study = load_study(SMOKE)
    arm = study.arms[1]
    baseline = [RunScores(["a", "b"], COUNTS, detection())]
    assert arm_result(arm, baseline, baseline, study).gains == [0.0]
    other = [RunScores(["a", "c"], COUNTS, detection())]
    with pytest.raises(
        DataError, match="the arm grpo answers 2 samples, the baseline sft 2; 2 of them are not in both"
    ):
        arm_result(arm, other, baseline, study)
    counted = [RunScores(["a", "b"], COUNTS, of_task("count", "exact counts"))]
    with pytest.raises(DataError, match=r"the arm grpo is judged by exact counts, the baseline sft by F1 at \.5"):
        arm_result(arm, counted, baseline, study)


def test_the_table_is_made_of_what_score_writes(prepared: Path, tmp_path: Path) -> None:
    inputs = scored_inputs(prepared, tmp_path)
    metrics = json.loads((inputs.scores / "grpo/metrics.json").read_text())
    study = load_study(SMOKE)
    (row,) = [line for line in table(results_of(study, metrics), study).splitlines() if line.startswith("| SFT |")]
    found = metrics["detection"]
    told = [found["f1"], found["precision"], found["recall"], metrics["coco"]["AP50"], found["count_mae"]]
    cells = row.strip("| ").split(" | ")
    assert [float(cells[place]) for place in (1, 4, 5, 6, 7)] == pytest.approx(told, abs=5e-3)


SMALL_COUNTING = """\
# @package _global_
defaults:
  - study-counting
  - _self_
profile: small-counting
synthetic: {counts: {images: {train: 64, val: 4, test: 8}}}
prompts: {max_samples: {train: 64, val: 4, test: 8}}
sft: {max_steps: 3}
grpo: {max_steps: 1}
"""


@pytest.mark.slow
def test_a_study_runs_by_dvc_trains_no_sft_twice_and_a_second_call_has_nothing_to_run(tmp_path: Path) -> None:
    from tests.support.checkout import checkout, run

    folder = checkout(tmp_path / "checkout")
    (folder / "conf/profile/small-counting.yaml").write_text(SMALL_COUNTING)
    path, yaml = folder / "conf/study/thinking.yaml", YAML(typ="safe", pure=True)
    study = yaml.load(path.read_text())
    kept = [arm for arm in study["arms"] if arm["name"] in ("look", "look-sft")]
    with path.open("w") as file:
        small = {"profile": "small-counting", "seeds": [1], "baseline": "look", "bootstrap_samples": 200, "arms": kept}
        yaml.dump(study | small, file)
    command = ("components.cli.main", "study", str(path), "--out", "tables")
    refused = run(folder, *command, check=False)
    assert "a study belongs to a commit, but conf/study/thinking.yaml differs" in refused.stderr
    for words in (["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "y"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    first = run(folder, *command)
    assert "0 of 2 runs are there" in first.stderr
    said = first.stdout
    assert (
        "| arm | exact counts | gain [95 %] | gain by seed | within 1 | mean error | format rate | tokens an answer |"
        in said
    )
    assert [line.split(" | ")[0] for line in said.splitlines() if line.startswith(("| GRPO", "| SFT"))] == [
        "| GRPO, thinking and looking first", "| SFT, thinking and looking first"
    ]  # fmt: skip
    (log,) = (folder / ".lookout/studies").glob("thinking-look-sft-*.log")
    assert "Stage 'sft' is cached" in log.read_text()
    second = run(folder, *command)
    assert "2 of 2 runs are there" in second.stderr
    assert second.stdout == said == (folder / "tables/thinking.md").read_text() + "\n"
    unchanged = ["git", "diff", "--quiet", "params.yaml"]
    assert subprocess.run(unchanged, cwd=folder, check=False).returncode == 0
