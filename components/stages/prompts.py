"""prompts: validated scenes -> chat samples with truth and gold answers, in the base model's frame."""

from __future__ import annotations

from pathlib import Path

from components.graph.stage_inputs import refuse_altered
from components.params.whole import load_params
from components.prompting.build import INTERIM, VALIDATED, run
from components.stages.running import run_stage


def main() -> None:
    params = load_params()
    made = [folder / name for folder in (INTERIM, VALIDATED) for name in params.datasets]
    refuse_altered([Path("models/base"), *made])
    run(Path("models/base"), Path("data/prompts"), params.datasets, params.prompts, params.base)


if __name__ == "__main__":
    run_stage(main)
