"""predict: greedy completions of one model on the test images, as raw text that can be parsed again."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

from components.params import PredictParams, load_section
from components.stages import progress, run_stage

log = logging.getLogger("lookout.predict")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="folder under models/: base, sft or grpo")
    model = parser.parse_args().model
    params = load_section(PredictParams)
    from components.training.predict import predict_file

    begun = time.monotonic()
    out = Path("data/predictions") / model / "completions.jsonl"
    count = predict_file(Path("models") / model, Path("data/prompts/test.parquet"), out, params, progress)
    seconds = time.monotonic() - begun
    log.info("%s answered %d images in %.0f s (%.1f images/s)", model, count, seconds, count / seconds)


if __name__ == "__main__":
    run_stage(main)
