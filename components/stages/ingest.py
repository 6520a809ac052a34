"""ingest: a dataset as it was downloaded -> scenes, boxes and asks.parquet."""

from __future__ import annotations

import argparse
from pathlib import Path

from components.errors import ParamsError
from components.params.whole import load_params
from components.sources.ingest import run
from components.stages.running import run_stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="key in the section datasets: of params.yaml")
    name = parser.parse_args().dataset
    datasets = load_params().datasets
    if name not in datasets:
        raise ParamsError(f"params.yaml has no datasets.{name}; it has {sorted(datasets)}")
    run(name, Path("data/interim") / name, datasets[name])


if __name__ == "__main__":
    run_stage(main)
