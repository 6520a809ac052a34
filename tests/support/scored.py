"""Three models' answers to a few test images, good and bad, scored: what the report is made from."""

from __future__ import annotations

import json
from pathlib import Path

from components.params.score import ScoreParams
from components.params.whole import load_params
from components.report.evaluation import Inputs, Settings
from components.scoring import score
from components.store.schemas.prompts import PROMPTS
from components.store.schemas.rollouts import ROLLOUTS
from components.store.tables import read_table, write_table

SCORE = ScoreParams(
    min_iou=0.5, confidence="logprob", convention="lookout", tie_shuffles=2, bootstrap_samples=50, seed=0
)


def gold_lines(prompts: Path) -> list[dict]:
    return [
        {
            "schema": "completions/1",
            "sample_id": row["sample_id"],
            "text": row["completion"][0]["content"],
            "finish_reason": "stop",
            "token_count": row["gold_tokens"],
            "answer_tokens": [[0, 1_000_000, 0.0]],  # one sure token, however long the text becomes
        }
        for row in read_table(prompts, PROMPTS).to_pylist()
    ]


def write_lines(folder: Path, lines: list[dict], name: str = "completions") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def scored_inputs(prepared: Path, tmp_path: Path) -> Inputs:
    """One image with markup in its thoughts, one unreadable, one that looks everywhere and finds nobody."""
    prompts = prepared / "data/prompts/test.parquet"
    lines = gold_lines(prompts)
    lines[0]["text"] = lines[0]["text"].replace("<think>", "<think><script>alert(1)</script> ")
    lines[1]["text"] = "unreadable"
    lines[2]["text"] = "<think>t</think><look>[[0,0,64,64]]</look><answer>[]</answer>"
    file = write_lines(tmp_path / "x", lines)
    texts = [(line["sample_id"], text) for line in gold_lines(prompts) for text in (line["text"], lines[2]["text"])]
    keys = ("schema", "sample_id", "index", "text")
    write_lines(file, [dict(zip(keys, ("samples/1", *row[:1], 0, row[1]), strict=True)) for row in texts], "samples")
    for model in ("base", "sft", "grpo"):
        score.run(model, prompts, file, tmp_path / "scores" / model, SCORE)
    for stage in ("sft", "grpo"):
        folder = tmp_path / "training" / stage
        folder.mkdir(parents=True)
        (folder / "curves.csv").write_text("step,loss,reward_total,entropy\n1,2.0,0.1,1.0\n2,1.0,0.3,0.9\n")
        (folder / "summary.json").write_text('{"warnings": ["entropy <b>died</b>"]}')
    write_table(tmp_path / "training/grpo/rollouts.parquet", ROLLOUTS, [])
    return Inputs(tmp_path / "scores", tmp_path / "training", prepared / "data/prompts", prepared / "data/validated")


def page_settings() -> Settings:
    """What the report's page says of the params.yaml that lies here."""
    params = load_params()
    return Settings(params.profile, params.base, params.rewards, params.datasets)
