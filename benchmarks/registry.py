"""How long do questions take on a registry of many versions? `python benchmarks/registry.py --versions 1000`.

One run with one statement, registered again and again in a store of its own. Every question in this one process,
so the import of MLflow is paid once and not counted.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.model_registry.index import used_by
from components.model_registry.registry import EXPERIMENT, IMAGES_FILE, KEY_TAG, STATEMENT_FILE, connect
from components.model_registry.statement import to_statement
from components.model_registry.trace import trace
from components.stages import QUIET
from components.store.atomic import write_json

IMAGE = "0" * 64


def lineage() -> dict[str, Any]:
    """As small as a lineage can be."""
    code = {"commit": "c" * 40, "remote": None, "clean": True, "changed": [], "diff_sha256": None}
    data = {
        "crowd": {"dvc_md5": "d" * 32, "root": "data/raw/crowd", "licence": "CC0-1.0", "counts": {}, "role": "both"}
    }
    base = {"kind": "built", "name": "a base", "revision": None, "sha256": {"model.safetensors": "b" * 64}}
    return {
        "schema": "lineage/2", "key": "k" * 64, "files": {"model.safetensors": "a" * 64}, "code": code, "data": data,
        "base": base, "prompts": {}, "state": {"params.yaml": "profile: tiny\n"}, "metrics": {}, "training": {},
        "environment": {"libraries": {}}, "params": {}, "rewards": {}, "commands": {}, "processes": {}, "seeds": {},
        "images_sha256": "", "prompt_summary": {},
    }  # fmt: skip


def fill(versions: int) -> None:
    import mlflow

    client = connect()
    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        write_json(Path(folder) / STATEMENT_FILE, to_statement(lineage()))
        (Path(folder) / IMAGES_FILE).write_text(f"{IMAGE}\n")
        mlflow.log_artifacts(folder)
    client.create_registered_model("lookout")
    for number in range(versions):
        client.create_model_version("lookout", f"runs:/{run.info.run_id}/model", run.info.run_id,
                                    tags={KEY_TAG: f"{number:064x}"})  # fmt: skip
    client.set_registered_model_alias("lookout", "champion", str(versions))


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=1000)
    count = parser.parse_args().versions
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(QUIET | {"LOOKOUT_HOME": home})
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        print(f"{count} versions registered in {seconds(lambda: fill(count)):.1f} s")
        print(f"trace by number     {seconds(lambda: trace(str(count // 2))):8.2f} s")
        print(f"trace by alias      {seconds(lambda: trace('@champion')):8.2f} s")
        print(f"used-by, first      {seconds(lambda: used_by(IMAGE)):8.2f} s   (makes the index)")
        print(f"used-by, again      {seconds(lambda: used_by(IMAGE)):8.2f} s")


if __name__ == "__main__":
    main()
