"""Registers models/grpo in MLflow: one version per lineage key, repaired rather than repeated."""

from __future__ import annotations

import csv
import json
import logging
import re
import tempfile
from pathlib import Path
from typing import Any

from components.errors import RegistryError
from components.metrics.task import headline_of
from components.model_registry.card import model_card
from components.model_registry.git import refuse_dirty, tag_state
from components.model_registry.lineage import MODEL, Lineage, collect_lineage, image_digests
from components.model_registry.packaging import log_packaged_model
from components.model_registry.registry import (
    EXPERIMENT,
    IMAGES_FILE,
    KEY_TAG,
    STATEMENT_FILE,
    connect,
    git_tag,
    only_writer,
    version_with_key,
)
from components.model_registry.statement import to_statement
from components.params import load_params
from components.store.atomic import write_json

log = logging.getLogger("lookout.register")
NOT_A_KEY = re.compile(r"[^\w. :/-]")  # MLflow refuses such a name: a class map may say `*` or `person (other)`
REGISTRATION = Path("reports/registration.json")


def register_model(out: Path = REGISTRATION) -> dict[str, Any]:
    """Registers models/grpo, or finds the version that is registered already; writes what it is to `out`.

    A kill before the version exists leaves a run without one, and the next call makes it; a kill behind it is
    made good by the next call too. Raises RegistryError where the lineage does not hold or the code is not committed.
    """
    params = load_params().register_
    lineage = collect_lineage()
    if not params.allow_dirty:
        refuse_dirty(lineage["code"])
    client = connect()
    with only_writer():
        version = version_with_key(client, params.model_name, lineage["key"])
        if version is None:
            version = _create_version(client, params.model_name, lineage)
            log.info("registered %s version %s", params.model_name, version.version)
        else:
            log.info("%s version %s has this lineage already", params.model_name, version.version)
        if lineage["code"]["commit"]:
            tag_state(
                git_tag(params.model_name, version.version),
                lineage["state"],
                f"{params.model_name} version {version.version}",
            )
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


def _create_version(client: Any, name: str, lineage: Lineage) -> Any:
    import mlflow

    info: Any = None
    mlflow.set_experiment(EXPERIMENT)
    title = f"{'+'.join(lineage['data'])} grpo {lineage['key'][:8]}"
    card = model_card(lineage)
    with mlflow.start_run(run_name=title, tags=version_tags(lineage), description=card) as run:
        params = _flat(lineage["params"] | {"rewards": lineage["rewards"]})
        mlflow.log_params({NOT_A_KEY.sub("_", name): value for name, value in params.items()})
        _log_numbers(client, run.info.run_id, lineage)
        _log_datasets(client, run.info.run_id, lineage)
        for path in ("reports/evaluation", "reports/training", "reports/scores", "reports/validation"):
            mlflow.log_artifacts(path, artifact_path=path)
        with tempfile.TemporaryDirectory() as folder:
            statement = Path(folder) / STATEMENT_FILE
            write_json(statement, to_statement(lineage))
            (Path(folder) / IMAGES_FILE).write_text("".join(f"{digest}\n" for digest in image_digests()))
            (Path(folder) / "README.md").write_text(card)
            mlflow.log_artifacts(folder)
            info = log_packaged_model(MODEL, statement, lineage)
    try:
        client.create_registered_model(name, description="Policies that find every person in a crowd")
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise RegistryError(f"MLflow refuses the registered model {name}: {error.message}") from error
    version = mlflow.register_model(info.model_uri, name, tags=version_tags(lineage))
    client.update_model_version(name, version.version, card)
    return version


def version_tags(lineage: Lineage) -> dict[str, str]:
    """What a version is searched by."""
    best = headline_of(lineage["metrics"]["grpo"])
    dirty = (
        {}
        if lineage["code"]["clean"]
        else {"lookout.DIRTY": f"code was not committed, diff {lineage['code']['diff_sha256']}"}
    )
    return dirty | {
        KEY_TAG: lineage["key"],
        "lookout.commit": str(lineage["code"]["commit"]),
        "lookout.clean": str(lineage["code"]["clean"]).lower(),
        "lookout.datasets": ",".join(f"{name}:{data['dvc_md5']}" for name, data in sorted(lineage["data"].items())),
        "lookout.prompts": ",".join(sorted(lineage["prompts"].values())),
        "lookout.rewards": json.dumps(lineage["rewards"], sort_keys=True),
        "lookout.base": lineage["base"]["sha256"].get("model.safetensors", lineage["base"]["name"]),
        "lookout.weights": ",".join(lineage["weights"].values()),
        "lookout.seeds": json.dumps(lineage["seeds"], sort_keys=True),
        "lookout.libraries": json.dumps(lineage["environment"]["libraries"], sort_keys=True),
        "lookout.f1": f"{best.value or 0:.4f}",
        "lookout.headline": best.name,
    }


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested params as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _log_datasets(client: Any, run_id: str, lineage: Lineage) -> None:
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


def _log_numbers(client: Any, run_id: str, lineage: Lineage) -> None:
    """Scores of the three models, and the training curves step by step."""
    from mlflow.entities import Metric

    points = [
        Metric(f"{model}.{NOT_A_KEY.sub('_', name)}", float(value), 0, 0)
        for model, metrics in lineage["metrics"].items()
        for name, value in _flat(metrics).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    for stage in ("sft", "grpo"):
        with Path("reports/training", stage, "curves.csv").open() as file:
            for row in csv.DictReader(file):
                step = int(row.pop("step"))
                points += [Metric(f"train.{stage}.{key}", float(text), 0, step) for key, text in row.items() if text]
    for start in range(0, len(points), 1000):  # MLflow takes 1,000 at a time
        client.log_batch(run_id, metrics=points[start : start + 1000])
