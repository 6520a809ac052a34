"""The page of tasks beside detection: their own tables, points on the image, coloured differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.core.boxes import as_boxes
from components.core.grammars.answers import TextAnswer
from components.core.scene import TextTruth
from components.metrics import TASK_METRICS
from components.metrics.reading import reading_numbers
from components.params.report import ReportParams
from components.params.whole import load_params
from components.prompting import build as prompts_stage
from components.report.captions import diff
from components.report.evaluation import Inputs
from components.report.gallery import Images
from components.report.tasks import TASK_PAGES, numbers
from components.report.training_groups import groups_section
from components.scoring import score
from components.scoring.tasks import task_summary
from components.stages import report as report_stage
from components.store.schemas.prompts import PROMPTS
from components.store.schemas.rollouts import ROLLOUTS
from components.store.tables import read_rows, write_table
from tests.support.scored import SCORE, gold_lines, page_settings, write_lines


def page_of(prepared: Path, folder: Path, entry: dict[str, Any]) -> str:
    """The page of three models of which the last answers perfectly but for one unreadable answer."""
    params = load_params()
    crowd = params.datasets["crowd"].model_copy(update=entry)
    settings = params.prompts.model_copy(update={"template": None, "thinking": "none"})
    prompts_stage.run(Path("models/base"), folder / "prompts", {"crowd": crowd}, settings)
    lines = gold_lines(folder / "prompts/test.parquet")
    lines[0]["text"] = "<answer>[[1,1],[60,60]]</answer>"
    lines[1]["text"] = "<answer>nobody</answer>"
    answers = write_lines(folder / "x", lines)
    for model in ("base", "sft", "grpo"):
        score.run(model, folder / "prompts/test.parquet", answers, folder / "scores" / model, SCORE)
    for stage in ("sft", "grpo"):
        (folder / "training" / stage).mkdir(parents=True)
        (folder / "training" / stage / "curves.csv").write_text("step,loss,reward_total\n1,2.0,0.1\n2,1.0,0.3\n")
        (folder / "training" / stage / "summary.json").write_text('{"warnings": []}')
    write_table(folder / "training/grpo/rollouts.parquet", ROLLOUTS, [])
    inputs = Inputs(folder / "scores", folder / "training", folder / "prompts", prepared / "data/validated")
    report_stage.run(inputs, folder / "out", page_settings(), ReportParams(gallery_images=8))
    return (folder / "out/report.html").read_text()


def test_counts_are_shown_as_points_beside_the_true_ones(prepared: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(prepared)
    page = page_of(prepared, tmp_path, {"task": "count"})
    assert "<h1>Counting</h1>" in page
    assert "Gains in exact counts" in page
    assert "Crowds</h2>" not in page
    assert "unreadable (bad_json)" in page
    assert "says 2, " in page
    assert " in truth (things)" in page
    assert page.count("class='box answer'") > page.count("class='box truth'") * 0.8 > 10
    assert "cx='60.00' cy='60.00'" in page
    assert "Exact by the true count" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_difference_shows_what_is_wrong_and_what_is_missing() -> None:
    assert diff("the cat sat", "the cat sat") == "the cat sat"
    assert diff("the cats sat", "the cat sat down") == "the cat<ins>s</ins> sat<del> down</del>"
    assert diff("", "all of it") == "<del>all of it</del>"
    assert diff("<b>x</b> & y", "") == "<ins>&lt;b&gt;x&lt;/b&gt; &amp; y</ins>"


def test_single_letters_between_two_differences_belong_to_them() -> None:
    assert diff("kitten", "sitting") == "<ins>kitten</ins><del>sitting</del>"


def test_a_sentence_stands_under_its_image() -> None:
    caption = TASK_PAGES["ground"].caption({"phrase": "the <red> one"}, {"matched_iou_sum": 0.625}, 1)
    assert caption == "“the &lt;red&gt; one”, IoU 0.62"


def test_what_must_be_known_of_a_table_stands_under_it() -> None:
    answers = [TextAnswer("", as_boxes([]), "a <b>")]
    summary = task_summary(TASK_METRICS["read"], reading_numbers(answers, [TextTruth("a b")]), answers, SCORE)
    page = numbers({"grpo": {"tasks": {"read": summary | {"notes": ["words end at <white> space"]}}}})
    assert "bootstrap over them. Words end at &lt;white&gt; space.</p>" in page


def groups_of(task: str, texts: list[str], prepared: Path, tmp_path: Path) -> str:
    """The section of one group that said these texts of the first counted image, or of one with a text."""
    params = load_params()
    crowd = params.datasets["crowd"].model_copy(update={"task": "count"})
    settings = params.prompts.model_copy(update={"template": None, "thinking": "none"})
    prompts_stage.run(Path("models/base"), tmp_path / "prompts", {"crowd": crowd}, settings)
    row = next(read_rows(tmp_path / "prompts/grpo.parquet", PROMPTS))
    if task == "read":
        row |= {"task": "read", "answer_as": "text", "truth_text": "a <b>"}
    write_table(tmp_path / "grpo.parquet", PROMPTS, [row])
    write_table(tmp_path / "rollouts.parquet", ROLLOUTS, [
        {"step": 1, "group_id": "g", "sample_id": row["sample_id"], "index_in_group": place, "text": text,
         "token_count": 9, "failure": None, "rewards": {}, "total": place / 4, "advantage": 0.0, "disagreement": None}
        for place, text in enumerate(texts)
    ])  # fmt: skip
    return groups_section(tmp_path / "rollouts.parquet", tmp_path / "grpo.parquet", Images(10**6))


def test_a_training_groups_counts_and_texts_are_said_and_its_points_drawn(
    prepared: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(prepared)
    texts = ["<answer>[[1,1],[60,60]]</answer>", "<answer>[[2,2],[50,50]]</answer>", "<answer>[]</answer>", "nothing"]
    page = groups_of("count", texts, prepared, tmp_path)
    assert "3 of 4 answers readable" in page
    assert "<q>2</q> × 2, <q>0</q> × 1" in page
    assert page.count("class='box answer'") == 4
    page = groups_of("read", ["<answer>x</answer>", "<answer><i></answer>", "<answer>x </answer>"], prepared, tmp_path)
    assert "<q>x</q> × 2, <q>&lt;i&gt;</q> × 1" in page
    assert "<del>a &lt;b&gt;</del>" in page
