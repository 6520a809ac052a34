"""prompts: validated scenes -> chat samples with truth and gold answers, in the base model's frame."""

from __future__ import annotations

from pathlib import Path

from components.params.base import BaseParams
from components.params.datasets import Datasets
from components.params.prompts import PromptParams
from components.params.reading import load_entries, load_section
from components.prompting.build import run


def main() -> None:
    datasets = load_entries("datasets", Datasets)
    run(Path("models/base"), Path("data/prompts"), datasets, load_section(PromptParams), load_section(BaseParams))
