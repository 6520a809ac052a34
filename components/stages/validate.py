"""validate: Great Expectations on scenes and boxes. An error-level finding stops the pipeline."""

from __future__ import annotations

import argparse
import logging
import shutil
from pathlib import Path

from components.errors import ParamsError, QualityError
from components.machine.home import lookout_home
from components.params.base import BaseParams
from components.params.datasets import DatasetParams
from components.params.validate import ValidateParams
from components.params.whole import load_params
from components.stages.running import run_stage
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
        kept = lookout_home() / "validation" / name
        with atomic_folder(kept) as folder:
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
    params = load_params()
    if name not in params.datasets:
        raise ParamsError(f"params.yaml has no datasets.{name}; it has {sorted(params.datasets)}")
    docs = Path("reports/validation") / name
    interim, out = Path("data/interim") / name, Path("data/validated") / name
    run(name, interim, out, docs, params.datasets[name], params.prompts.labels, params.validate_, params.base)


if __name__ == "__main__":
    run_stage(main)
