"""predict: completions of one model on the test images, as raw text that can be parsed again."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from components.machine.progress import progress
from components.params.predict import PredictParams
from components.params.reading import load_section

log = logging.getLogger("lookout.predict")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="folder under models/: base, sft or grpo")
    model = parser.parse_args().model
    params = load_section(PredictParams)
    from components.policy.predict import predict_files

    out = Path("data/predictions") / model
    summary = predict_files(Path("models") / model, Path("data/prompts/test.parquet"), out, params, progress)
    if summary:  # the processes that a launcher starts have none
        log.info(
            "%s answered %d images, %d samples each beside the greedy answer, in %.0f s (%.1f images/s, %.0f tokens/s)",
            model, summary["images"], summary["samples_per_image"], summary["seconds"], summary["images_per_s"],
            summary["tokens_per_s"],
        )  # fmt: skip
