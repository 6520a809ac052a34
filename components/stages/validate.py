"""validate: Great Expectations on scenes and boxes. An error-level finding stops the pipeline."""

from __future__ import annotations

import argparse
import logging
import shutil
from pathlib import Path

from components.errors import QualityError
from components.machine.home import lookout_home
from components.params.base import BaseParams
from components.params.datasets import DatasetParams, Datasets
from components.params.prompts import PromptParams
from components.params.reading import entry_of, load_entries, load_section
from components.params.validate import ValidateParams
from components.store.atomic import atomic_folder, write_json
from components.store.schemas.validated import QUARANTINE
from components.store.tables import write_table

log = logging.getLogger("lookout.validate")


def run(
    name: str,
    interim: Path,
    out: Path,
    docs: Path,
    dataset: DatasetParams,
    labels: list[str],
    params: ValidateParams,
    base: BaseParams,
) -> None:
    """Writes validation.json, quarantine.parquet and the pages. Raises QualityError on an error-level finding.

    The pages of a failed validation are kept under LOOKOUT_HOME: DVC keeps no output of a failed stage.
    """
    from components.quality.validation import ImageBounds, validate_dataset

    bounds = ImageBounds(*base.image_bounds)
    with atomic_folder(docs) as folder:
        validation = validate_dataset(name, interim, folder, dataset, labels, params, bounds)
    if validation.errors:
        home = lookout_home()
        kept = home / "validation" / name
        with atomic_folder(kept, home) as folder:
            shutil.move(docs, folder / "report")
            write_json(folder / "validation.json", validation.content)
        raise QualityError(f"{name}: {validation.sentence}; see {kept / 'report' / 'index.html'}")
    write_table(out / "quarantine.parquet", QUARANTINE, validation.quarantine)
    write_json(out / "validation.json", validation.content)
    warnings = sum(not check["success"] for check in validation.content["checks"])
    log.info(
        "%s: %s, %d warnings, %d refused", name, validation.content["counts"], warnings, len(validation.quarantine)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="key in the section datasets: of params.yaml")
    name = parser.parse_args().dataset
    dataset = entry_of(load_entries("datasets", Datasets), "datasets", name)
    labels, params, base = load_section(PromptParams).labels, load_section(ValidateParams), load_section(BaseParams)
    docs = Path("reports/validation") / name
    interim, out = Path("data/interim") / name, Path("data/validated") / name
    run(name, interim, out, docs, dataset, labels, params, base)
