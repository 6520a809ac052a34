"""ingest: a dataset as it was downloaded -> scenes, boxes and asks.parquet."""

from __future__ import annotations

import argparse
from pathlib import Path

from components.params.datasets import Datasets
from components.params.reading import entry_of, load_entries
from components.sources.ingest import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="key in the section datasets: of params.yaml")
    name = parser.parse_args().dataset
    run(name, Path("data/interim") / name, entry_of(load_entries("datasets", Datasets), "datasets", name))
