"""score: raw completions -> parsed answers -> metrics, a row an image, and the curves to plot."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from components.params.reading import load_section
from components.params.score import ScoreParams
from components.scoring.score import run

log = logging.getLogger("lookout.score")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="base, sft or grpo")
    model = parser.parse_args().model
    predictions, out = Path("data/predictions") / model, Path("reports/scores") / model
    metrics = run(model, Path("data/prompts/test.parquet"), predictions, out, load_section(ScoreParams))
    best = metrics["headline"]
    log.info("%s: format rate %.3f, %s %s", model, metrics["format_rate"], best["name"], best["value"])
    for task, one in metrics["tasks"].items():
        for note in one.get("notes", ()):
            log.info("%s: %s", task, note)
