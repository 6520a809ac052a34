"""Registers models/grpo in MLflow: one version per lineage key, repaired rather than repeated."""

from __future__ import annotations

import csv
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from components.core.words import TRAINED
from components.errors import RegistryError
from components.machine.git import git
from components.machine.terminal import plain
from components.model_registry.card import model_card
from components.model_registry.lineage import MODEL, collect_lineage, image_names
from components.model_registry.lineage_types import Lineage
from components.model_registry.mlflow_types import Client, Version, mlflow_module
from components.model_registry.packaging import log_packaged_model
from components.model_registry.record import run_metrics, run_params, version_tags
from components.model_registry.registry import (
    EXPERIMENT,
    KEY_SAID,
    STATEMENT_SAID,
    artifact,
    connect,
    only_writer,
    statement_of,
    version_with_key,
)
from components.model_registry.state_commit import (
    git_tag,
    own_tag,
    plain_tag,
    refuse_dirty,
    tag_exists,
    tag_says,
    tag_state,
)
from components.model_registry.statement import from_statement, to_statement
from components.model_registry.subjects import (
    ARTIFACTS,
    IMAGES_FILE,
    RUN_FILES,
    STATEMENT_COPY,
    STATEMENT_FILE,
    digests,
    logged_digests,
)
from components.params.reading import load_section
from components.params.register import RegisterParams
from components.store.atomic import write_json
from components.store.digest import file_sha256

log = logging.getLogger("lookout.register")
REGISTRATION = Path("reports/registration.json")
CLAIMS = ("key", "files", "data", "prompts", "metrics", "training", "images_sha256")
"""What a version's statement and the checkout that tags it must agree in."""


def register_model(out: Path = REGISTRATION) -> dict[str, Any]:
    """Registers models/grpo, or finds the version that is registered already; writes what it is to `out`.

    A kill before the version exists leaves a run without one, and the next call makes it; a kill behind it is
    made good by the next call too. Raises RegistryError where the lineage does not hold or the code is not committed.
    """
    params = load_section(RegisterParams)
    lineage = collect_lineage()
    if not params.allow_dirty:
        refuse_dirty(lineage["code"])
    client = connect()
    with only_writer():
        version = version_with_key(client, params.model_name, lineage["key"])
        made = version is None
        if made:
            version = _create_version(client, params.model_name, lineage)
            log.info("registered %s version %s", params.model_name, version.version)
        else:
            log.info("%s version %s has this lineage already", params.model_name, version.version)
        if lineage["code"]["commit"]:
            _tag_version(version, lineage, made)
        client.set_registered_model_alias(params.model_name, params.alias, version.version)
    registration = {
        "schema": "registration/1",
        "name": params.model_name,
        "version": int(version.version),
        "alias": params.alias,
        "key": lineage["key"],
        "run_id": version.run_id,
        "model_uri": f"models:/{params.model_name}/{version.version}",
    }
    write_json(out, registration)
    return registration


def _tag_version(version: Version, lineage: Lineage, made: bool) -> None:
    """The version's state on a commit under its tag, with the key and the digest of the statement in its message.

    A plain tag of another lineage (a clone brought it) stays: this version's tag has the key in its name. The tag of
    this lineage is made anew where the version is: its registry was lost.
    """
    plain, key = plain_tag(version.name, version.version), lineage["key"]
    tag = git_tag(version.name, version.version, key)
    if tag == plain and tag_exists(plain) and _another_lineage(plain, lineage):
        tag = own_tag(plain, key)
        log.warning(
            "the git tag %s is of another lineage: a clone brought it, and this registry numbers anew. This version's "
            "tag is %s. To number on from there, register where the other versions are (MLFLOW_TRACKING_URI), or under "
            "another register.model_name", plain, tag,
        )  # fmt: skip
    if tag_exists(tag) and not made:
        return
    registered = from_statement(statement_of(version))
    wrong = [name for name in CLAIMS if registered[name] != lineage[name]]
    if wrong:
        log.warning(
            "the statement of %s version %s says other %s than this checkout: no tag is made; git fetch --tags brings "
            "the one that it was registered with", version.name, version.version, wrong[0],
        )  # fmt: skip
        return
    commit = registered["code"]["commit"]
    if commit is None:  # it was registered where there was no git: its tag has nothing to stand on
        return
    digest = file_sha256(artifact(version, STATEMENT_FILE))
    said = f"{version.name} version {version.version}\n\n{KEY_SAID}: {key}\n{STATEMENT_SAID}: {digest}\n"
    tag_state(tag, registered["state"], said, commit, renew=made)


def _another_lineage(tag: str, lineage: Lineage) -> bool:
    said = tag_says(tag, KEY_SAID)
    return said != lineage["key"] if said else git("show", f"{tag}:dvc.lock") != lineage["state"]["dvc.lock"]


def _create_version(client: Client, name: str, lineage: Lineage) -> Version:
    mlflow = mlflow_module()
    mlflow.set_experiment(EXPERIMENT)
    title = f"{'+'.join(lineage['data'])} grpo {lineage['key'][:8]}"
    card = model_card(lineage)
    with mlflow.start_run(run_name=title, tags=version_tags(lineage), description=card) as run:
        mlflow.log_params(run_params(lineage))
        _log_numbers(client, run.info.run_id, lineage)
        _log_datasets(client, run.info.run_id, lineage)
        for path in ("reports/evaluation", "reports/training", "reports/scores", "reports/validation"):
            mlflow.log_artifacts(path, artifact_path=path)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / IMAGES_FILE).write_text(
                "".join(f"{digest}  {plain(path)}\n" for digest, path in image_names())
            )
            (Path(folder) / "README.md").write_text(card)
            mlflow.log_artifacts(folder)
            info = log_packaged_model(MODEL, lineage)
            subjects = logged_digests(client, info.model_id, lineage["files"])
            for place in ARTIFACTS:
                there = Path(place) if Path(place).is_dir() else Path(folder, place)
                subjects |= digests(there, f"{RUN_FILES}{place}")
            statement = Path(folder) / STATEMENT_FILE
            write_json(statement, to_statement({**lineage, "subjects": subjects}))
            mlflow.log_artifact(str(statement))
            client.log_model_artifact(info.model_id, str(statement), str(Path(STATEMENT_COPY).parent))
    try:
        client.create_registered_model(name, description="Policies that find every person in a crowd")
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise RegistryError(f"MLflow refuses the registered model {name}: {error.message}") from error
    version = mlflow.register_model(info.model_uri, name, tags=version_tags(lineage))
    client.update_model_version(name, version.version, card)
    return version


def _log_datasets(client: Client, run_id: str, lineage: Lineage) -> None:
    """Each dataset as an input of the run, with its DVC digest: MLflow searches runs by it."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    uses = {"train": "training", "eval": "evaluation", "both": "training and evaluation"}
    inputs = [
        DatasetInput(
            Dataset(
                name=name, digest=(one["dvc_md5"] or "unknown")[:36], source_type="dvc",
                source=json.dumps({"path": one["root"], "dvc": one["dvc_md5"]}),
                profile=json.dumps(one["counts"])[:16000],
            ),
            [InputTag("mlflow.data.context", uses[one["role"]])],
        )
        for name, one in lineage["data"].items()
    ]  # fmt: skip
    client.log_inputs(run_id, inputs)


def _log_numbers(client: Client, run_id: str, lineage: Lineage) -> None:
    """Scores of the three models, and the training curves step by step."""
    from mlflow.entities import Metric

    points = [Metric(name, value, 0, 0) for name, value in run_metrics(lineage).items()]
    for stage in TRAINED:
        with Path("reports/training", stage, "curves.csv").open() as file:
            for row in csv.DictReader(file):
                step = int(row.pop("step"))
                points += [Metric(f"train.{stage}.{key}", float(text), 0, step) for key, text in row.items() if text]
    for start in range(0, len(points), 1000):  # MLflow takes 1,000 at a time
        client.log_batch(run_id, metrics=points[start : start + 1000])
