"""A registered version answers another version's test images, and is scored on them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from components.errors import RegistryError
from components.machine.home import lookout_home
from components.metrics.detection import pooled
from components.metrics.task import headline_of
from components.model_registry.promote import read_counts
from components.model_registry.registry import artifact, connect, find_version, package_folder, statement_of, uri_of
from components.model_registry.statement import Lineage, from_statement
from components.model_registry.subjects import POLICY
from components.model_registry.verify import refuse_altered
from components.params.whole import load_params
from components.store.digest import file_md5

PROMPTS = Path("data/prompts/test.parquet")


def per_image_of(version: Any, other: Lineage) -> Path:
    """per_image.parquet of `version` on the test prompts of `other`, which must lie in this checkout.

    Raises RegistryError where they do not.
    """
    wanted = other["prompts"].get(PROMPTS.as_posix())
    if not PROMPTS.exists() or file_md5(PROMPTS) != wanted:
        raise RegistryError(
            f"the champion must be scored on the new test images, but {PROMPTS} is not theirs here (md5 {wanted}): "
            "check out the challenger's state (git checkout lookout/v<N>, dvc checkout)"
        )
    return _scored_here(version)


def rescore(reference: str) -> dict[str, Any]:
    """F1 of a version at registration (`before`) and on the test images that lie here (`now`, of `images`).

    On the same images its own rows are read, not made again. Raises RegistryError.
    """
    if not PROMPTS.exists():
        raise RegistryError(f"{PROMPTS} is not there: dvc repro prompts makes the test images to score on")
    version = find_version(connect(), reference)
    lineage = from_statement(statement_of(version))
    same = lineage["prompts"].get(PROMPTS.as_posix()) == file_md5(PROMPTS)
    rows = artifact(version, "reports/scores/grpo/per_image.parquet") if same else _scored_here(version)
    counts = [count for _, count in read_counts(rows).values()]
    return {
        "version": uri_of(version),
        "before": headline_of(lineage["metrics"]["grpo"]).value or 0.0,
        "now": pooled(counts)["f1"] or 0.0,
        "images": len(counts),
        "same_images": same,
    }


def _scored_here(version: Any) -> Path:
    from components.machine.progress import progress
    from components.policy.predict import predict_files
    from components.scoring import score

    params = load_params()
    kept = lookout_home() / "rescored" / f"{version.name}-{version.version}.parquet"
    kept.parent.mkdir(parents=True, exist_ok=True)
    single = params.predict.model_copy(update={"processes": 1, "samples": 0})
    ranked = params.score.model_copy(update={"confidence": "constant"})  # F1 needs no ranking
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = package_folder(version)
        refuse_altered(version, package)
        predict_files(package / "artifacts" / POLICY, PROMPTS, folder / "predictions", single, progress)
        score.run(f"{version.name}/{version.version}", PROMPTS, folder / "predictions", folder / "scores", ranked)
        shutil.copyfile(folder / "scores" / "per_image.parquet", kept)
    return kept
