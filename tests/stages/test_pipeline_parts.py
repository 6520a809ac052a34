"""Stages on small real data: prompts, score with the gold answers, the report; and bad input at their doors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TypedDict

import pytest

from components.core.completion import span_confidence
from components.core.dotted import leaves
from components.errors import DataError, ModelError, ParamsError
from components.model_registry import card, diff
from components.params.datasets import TilingParams
from components.params.prompts import PromptParams
from components.params.reading import load_section
from components.params.report import ReportParams
from components.params.score import ScoreParams
from components.params.whole import load_params
from components.policy.images import load_prompts
from components.prompting import build as prompts_stage
from components.prompting.questions import prompt_text, read_template
from components.report import tables
from components.report.evaluation import Inputs
from components.report.tasks import TASK_PAGES
from components.scoring import score
from components.stages import report as report_stage
from components.store.left_out import left_out_lines
from components.store.schemas.completions import PredictSummary
from components.store.schemas.prompts import PROMPTS
from components.store.schemas.scores import PER_IMAGE
from components.store.tables import TableSchema, read_table, write_table
from tests.support.scored import SCORE, gold_lines, page_settings, scored_inputs, write_lines
from tests.support.workspace import run_stage

HELD_OUT = ("val", "test")


class NameOnly(TypedDict):
    sample_id: str


def test_prompts_carry_truth_gold_and_digests(prepared: Path) -> None:
    rows = read_table(prepared / "data/prompts/sft.parquet", PROMPTS).to_pylist()
    assert len(rows) == 32
    assert len({row["sample_id"] for row in rows}) == 32
    for row in rows:
        assert row["completion"][0]["content"].startswith(f"<think>I see {len(row['truth_boxes'])};")
        assert (row["model_width_px"], row["model_height_px"]) == (64, 64)
        assert len(row["image_sha256"]) == 64
    summary = json.loads((prepared / "data/prompts/summary.json").read_text())
    assert summary["samples"] == {"train": 32, "val": 4, "test": 8}


def test_training_and_test_images_are_different_ones(prepared: Path) -> None:
    train, test = (
        set(read_table(prepared / f"data/prompts/{name}.parquet", PROMPTS)["image_sha256"].to_pylist())
        for name in ("sft", "test")
    )
    assert not train & test


def test_answers_that_do_not_fit_are_refused_in_training_only(prepared: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(prepared)
    params = load_section(PromptParams).model_copy(update={"max_completion_tokens": 20, "max_refused_frac": 1.0})
    prompts_stage.run(Path("models/base"), tmp_path, load_params().datasets, params)
    summary = json.loads((tmp_path / "summary.json").read_text())
    kept = read_table(tmp_path / "sft.parquet", PROMPTS)["gold_tokens"].to_pylist()
    assert summary["refused_too_long"]["train"] == 32 - len(kept) > 0
    assert max(kept) <= 20
    tokens = summary["gold_tokens"]
    asked = {split: read_table(tmp_path / f"{split}.parquet", PROMPTS)["gold_tokens"].to_pylist() for split in HELD_OUT}
    assert {split: len(lengths) for split, lengths in asked.items()} == {"val": 4, "test": 8}  # nobody is dropped
    longer = {split: sum(length > 20 for length in lengths) for split, lengths in asked.items()}
    assert summary["asked_though_too_long"] == {split: count for split, count in longer.items() if count}
    assert longer["test"] > 0
    assert set(summary["refused_too_long"]) == {"train"}
    assert tokens["too_long"] == summary["refused_too_long"]["train"] + sum(longer.values())
    lines = left_out_lines(summary)
    assert f"{summary['refused_too_long']['train']} train samples are refused: gold answer too long" in lines
    assert any(line.startswith(f"{longer['test']} of the 8 test samples have a right answer of more") for line in lines)
    assert sum(tokens["histogram"]["counts"]) == 32 + 4 + 8


def test_more_refused_training_samples_than_the_limit_are_an_error(prepared: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(prepared)
    params = load_section(PromptParams).model_copy(update={"max_completion_tokens": 20})
    with pytest.raises(
        DataError, match=r"datasets.crowd: \d+ of 32 training samples are refused \(\d+ %, at most 10 %"
    ):
        prompts_stage.run(Path("models/base"), tmp_path, load_params().datasets, params)
    assert not (tmp_path / "sft.parquet").exists()


def test_an_unknown_field_of_the_template_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("Find {people}")
    with pytest.raises(ParamsError, match=r"unknown field 'people'; want {labels}, {label}, {phrase}, {format}"):
        prompt_text(read_template(path), ["person"])
    with pytest.raises(ParamsError, match=r"prompts.template: .*gone.txt is not there"):
        read_template(tmp_path / "gone.txt")


def test_the_gold_answers_score_one(prepared: Path, tmp_path: Path) -> None:
    """The oracle: whole-pixel truth, so that rounding outward costs nothing."""
    prompts = prepared / "data/prompts/test.parquet"
    lines = write_lines(tmp_path / "gold", gold_lines(prompts))
    metrics = score.run("gold", prompts, lines, tmp_path / "scores", SCORE)
    assert metrics["format_rate"] == 1.0
    assert metrics["detection"]["f1"] == metrics["detection"]["mean_f1"] == 1.0
    assert metrics["coco"]["AP"] == pytest.approx(1.0)
    assert metrics["detection"]["count_mae"] == 0


def test_unreadable_and_cut_answers_count_as_no_boxes_and_are_counted(prepared: Path, tmp_path: Path) -> None:
    prompts = prepared / "data/prompts/test.parquet"
    lines = gold_lines(prompts)
    lines[0]["text"] = "nobody here"
    whole = lines[1]["text"]
    lines[1]["text"] = whole[: whole.rindex("]</answer>")]
    metrics = score.run("x", prompts, write_lines(tmp_path / "x", lines), tmp_path / "scores", SCORE)
    assert metrics["failures"] == {"structure": 1, "truncated": 1}
    assert metrics["format_rate"] == 0.75
    assert metrics["salvaged"]["recall"] > metrics["detection"]["recall"]
    rows = read_table(tmp_path / "scores/per_image.parquet", PER_IMAGE).to_pylist()
    assert [row["failure"] for row in rows[:3]] == ["structure", "truncated", None]


def test_sampled_answers_say_how_sure_each_box_is(prepared: Path, tmp_path: Path) -> None:
    prompts = prepared / "data/prompts/test.parquet"
    lines = gold_lines(prompts)
    sampled = [
        {"schema": "samples/1", "sample_id": line["sample_id"], "index": i, "text": line["text"] if i else "nobody"}
        for line in lines
        for i in range(4)
    ]
    folder = write_lines(tmp_path / "x", lines)
    with pytest.raises(DataError, match=r"is consensus, but the predictions have constant, rank, logprob; set"):
        score.run("x", prompts, folder, tmp_path / "scores", SCORE.model_copy(update={"confidence": "consensus"}))
    metrics = score.run("x", prompts, write_lines(folder, sampled, "samples"), tmp_path / "scores", SCORE)
    assert set(metrics["confidences"]) == {"constant", "rank", "logprob", "consensus"}
    assert metrics["confidences"]["consensus"]["calibration_error"] == pytest.approx(0.25)  # all right, all at 3 of 4
    rows = read_table(tmp_path / "scores/per_image.parquet", PER_IMAGE).to_pylist()
    # three answers of four say the same of somebody: nobody disagrees among those that can be read
    assert len(rows[0]["disagreement"]) == 2 * 32 * 32
    curves = (tmp_path / "scores/plots/reliability.csv").read_text()
    people = sum(row["truth_count"] for row in rows)
    assert f"consensus,0.7,{people},0.75,1.0" in curves


def test_another_papers_convention_takes_any_list_of_boxes(prepared: Path, tmp_path: Path) -> None:
    prompts = prepared / "data/prompts/test.parquet"
    lines = gold_lines(prompts)
    for line in lines:
        text = line["text"]
        line["text"] = "```json\n" + text[text.index("<answer>") + 8 : text.index("</answer>")] + "\n```"
    folder = write_lines(tmp_path / "x", lines)
    ours = score.run("x", prompts, folder, tmp_path / "a", SCORE)
    assert ours["failures"] == {"structure": 8}
    assert ours["detection"]["f1"] == 0
    theirs = SCORE.model_copy(update={"convention": "perception-r1", "confidence": "constant"})
    metrics = score.run("x", prompts, folder, tmp_path / "b", theirs)
    assert metrics["detection"]["f1"] == 1.0
    assert "It differs from `lookout`" in metrics["convention_means"]
    assert metrics["failures"] == {"structure": 8}  # counted under either
    with pytest.raises(ValueError, match="scores every box 1: want constant, got logprob"):
        ScoreParams.model_validate(theirs.model_dump() | {"confidence": "logprob"})


def test_confidence_is_the_mean_of_the_boxs_own_tokens() -> None:
    tokens = [(0, 5, -9.0), (10, 12, -1.0), (12, 14, -3.0), (20, 22, -9.0)]
    assert span_confidence((10, 14), tokens) == pytest.approx(0.1353, abs=1e-4)  # exp(-2)
    assert span_confidence((30, 40), tokens) is None
    assert span_confidence((10, 14), None) is None


def test_a_confidence_that_nobody_knows_is_never_1_in_the_scores(prepared: Path, tmp_path: Path) -> None:
    prompts = prepared / "data/prompts/test.parquet"
    lines = gold_lines(prompts)
    lines[0]["answer_tokens"] = None  # its tokens could not be told from its text
    file = write_lines(tmp_path / "x", lines)
    with pytest.raises(DataError, match=r"score\.confidence is logprob, but \d boxes have none: .* of constant, rank"):
        score.run("x", prompts, file, tmp_path / "scores", SCORE)
    by_rank = SCORE.model_copy(update={"confidence": "rank"})
    found = score.run("x", prompts, file, tmp_path / "scores", by_rank)["confidences"]
    assert set(found["logprob"].values()) == {None}
    assert found["rank"]["coco_AP"] == 1.0
    assert "logprob" not in (tmp_path / "scores/plots/reliability.csv").read_text()


def test_answers_to_other_questions_are_refused(prepared: Path, tmp_path: Path) -> None:
    prompts = prepared / "data/prompts/test.parquet"
    lines = write_lines(tmp_path / "x", gold_lines(prompts)[::-1])
    with pytest.raises(DataError, match="does not answer the samples"):
        score.run("x", prompts, lines, tmp_path / "scores", SCORE)


def test_a_prompts_file_of_another_version_stops_the_stage_in_one_sentence(prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(prepared, folder, symlinks=True)
    old = TableSchema("prompts", 0, NameOnly)
    write_table(folder / "data/prompts/sft.parquet", old, [{"sample_id": "x"}])
    answer = run_stage(folder, "sft", check=False)
    assert answer.returncode == 1
    last = answer.stderr.strip().splitlines()[-1]
    assert last.startswith("error: data/prompts/sft.parquet has schema prompts/0, this version")
    assert "Traceback" not in answer.stderr
    assert not (folder / "models/sft").exists()


def test_a_model_folder_without_a_tokenizer_is_named(prepared: Path, tmp_path: Path) -> None:
    from components.policy.folder import load_model
    from components.policy.processor import load_processor

    folder = tmp_path / "model"
    shutil.copytree(prepared / "models/base", folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"has no tokenizer \(tokenizer.json\)"):
        load_processor(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="has no weights"):
        load_model(folder)
    with pytest.raises(ModelError, match="not a model folder"):
        load_model(tmp_path / "nowhere")


@pytest.fixture
def scored(prepared: Path, tmp_path: Path) -> Inputs:
    return scored_inputs(prepared, tmp_path)


def test_every_number_that_a_page_names_is_in_metrics_json(scored: Inputs) -> None:
    metrics = json.loads((scored.scores / "grpo/metrics.json").read_text())
    named = {path for _, path in (*tables.HEADLINE, *tables.CROWD, *card.ROWS)} | set(diff.METRICS)
    named |= set(TASK_PAGES["detect"].columns.values())
    assert named <= set(leaves(metrics | {"prediction": PredictSummary.__annotations__}))
    assert {path for _, path in tables.DATASET} <= set(leaves(next(iter(metrics["datasets"].values()))))
    assert {path for _, path in tables.RANKED} <= set(metrics["confidences"]["rank"])


def test_the_report_is_deterministic_escaped_and_loads_nothing(scored: Inputs, prepared, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(prepared)
    for name in ("a", "b"):
        report_stage.run(scored, tmp_path / name, page_settings(), ReportParams(gallery_images=8))
    page = (tmp_path / "a/report.html").read_text()
    assert page == (tmp_path / "b/report.html").read_text()
    assert (tmp_path / "a/contact_sheet.png").read_bytes() == (tmp_path / "b/contact_sheet.png").read_bytes()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "entropy &lt;b&gt;died" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.index("unreadable (structure)") < page.index("F1 1.00")  # worst first
    assert page.count("<article") == 24


def test_perfect_answers_about_tiles_score_as_perfect_answers_about_images(
    prepared: Path, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(prepared)
    params = load_params()
    tiled = params.datasets["crowd"].model_copy(update={"tiling": TilingParams(rows=1, columns=2, overlap_frac=0.6)})
    prompts_stage.run(Path("models/base"), tmp_path, {"crowd": tiled}, params.prompts)
    rows = read_table(tmp_path / "test.parquet", PROMPTS).to_pylist()
    assert len(rows) == 8  # whole images only, at most max_samples.test samples
    assert len({row["scene_id"] for row in rows}) == 4
    assert {row["width_px"] for row in rows} < set(range(40, 50))
    pictures = load_prompts(tmp_path / "test.parquet")
    assert all(picture["image"].size == (picture["width_px"], 64) for picture in pictures)
    lines = write_lines(tmp_path / "gold", gold_lines(tmp_path / "test.parquet"))
    metrics = score.run("gold", tmp_path / "test.parquet", lines, tmp_path / "scores", SCORE)
    assert metrics["images"] == 4
    assert metrics["detection"]["f1"] == 1.0
    assert metrics["detection"]["count_mae"] == 0
