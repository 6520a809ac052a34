"""A registered version answers another version's test images, and is scored on them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from components.errors import RegistryError
from components.machine.home import lookout_home
from components.metrics.protocols import RANKED
from components.model_registry.gain import GRPO_SCORES, TEST_PROMPTS, gain_of, refuse_unknown
from components.model_registry.lineage_types import Lineage
from components.model_registry.mlflow_types import Version
from components.model_registry.registry import (
    artifact,
    connect,
    find_version,
    package_folder,
    statement_of,
    uri_of,
)
from components.model_registry.statement import from_statement
from components.model_registry.subjects import POLICY
from components.model_registry.verify import refuse_altered
from components.params.predict import PredictParams
from components.params.promote import PromoteParams
from components.params.reading import load_section
from components.params.score import ScoreParams
from components.scoring.measured import measured, value_in
from components.store.digest import file_md5


def scores_of(version: Version, other: Lineage) -> Path:
    """What score writes of `version` on the test prompts of `other`, which must lie in this checkout.

    Raises RegistryError where they do not.
    """
    wanted = other["prompts"].get(TEST_PROMPTS.as_posix())
    if not TEST_PROMPTS.exists() or file_md5(TEST_PROMPTS) != wanted:
        raise RegistryError(
            f"the champion must be scored on the new test images, but {TEST_PROMPTS} is not theirs here (md5 "
            f"{wanted}): check out the challenger's state (git checkout lookout/v<N>, dvc checkout)"
        )
    return _scored_here(version, load_section(PromoteParams).metric)


def rescore(reference: str) -> dict[str, Any]:
    """promote.metric of a version at registration (`before`) and on the test images that lie here (`now`, of `images`).

    loss: by how much it is worse now. On the same images its own scores are read, not made again. Raises RegistryError.
    """
    if not TEST_PROMPTS.exists():
        raise RegistryError(f"{TEST_PROMPTS} is not there: dvc repro prompts makes the test images to score on")
    version, metric = find_version(connect(), reference), load_section(PromoteParams).metric
    lineage = from_statement(statement_of(version))
    refuse_unknown(lineage, version, metric)
    same = lineage["prompts"].get(TEST_PROMPTS.as_posix()) == file_md5(TEST_PROMPTS)
    folder = artifact(version, GRPO_SCORES) if same else _scored_here(version, metric)
    scores = measured(folder, metric, lambda: TEST_PROMPTS)
    before, now = value_in(lineage["metrics"]["grpo"], metric), scores.measure(scores.once)
    if before is None or now is None:  # as 0 it would be the best of a number of which less is better
        raise RegistryError(
            f"{metric} of {uri_of(version)} is {before} at registration and {now} on the {len(scores.sample_ids)} "
            "images here; want a number for both: have the test images anybody to find?"
        )
    return {
        "version": uri_of(version),
        "metric": metric,
        "before": before,
        "now": now,
        "loss": -gain_of(metric, before, now),
        "images": len(scores.sample_ids),
        "same_images": same,
    }


def _scored_here(version: Version, metric: str) -> Path:
    from components.machine.progress import progress
    from components.policy.predict import predict_files
    from components.scoring import score

    kept = lookout_home() / "rescored" / f"{version.name}-{version.version}"
    answering, scoring = _settings(metric)
    with tempfile.TemporaryDirectory() as name:
        package = package_folder(version)
        refuse_altered(version, package)
        predict_files(package / "artifacts" / POLICY, TEST_PROMPTS, Path(name), answering, progress)
        score.run(f"{version.name}/{version.version}", TEST_PROMPTS, Path(name), kept, scoring)
    return kept


def _settings(metric: str) -> tuple[PredictParams, ScoreParams]:
    """The profile's own, but one process, and no sampled answers unless the metric is ranked by them."""
    answering, scoring = load_section(PredictParams), load_section(ScoreParams)
    answering = answering.model_copy(update={"processes": 1})
    if metric.partition(".")[0] not in RANKED:
        scoring = scoring.model_copy(update={"confidence": "constant"})
    if scoring.confidence != "consensus":
        answering = answering.model_copy(update={"samples": 0})
    return answering, scoring
