"""How long do questions take on a registry of 1,000 versions, beside MLflow's own look-up and listing?

One run with one statement, registered again and again in a store of its own. Every question in this one process,
so the import of MLflow is paid once and not counted. `python -m benchmarks.registry` prints one table.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measuring import REPEATS, Cell, Form, Table, medians, run_script, seconds_of
from components.machine.quiet import QUIET
from components.model_registry.index import used_by
from components.model_registry.registry import EXPERIMENT, KEY_TAG, STATEMENT_FILE, connect
from components.model_registry.statement import to_statement
from components.model_registry.subjects import IMAGES_FILE
from components.model_registry.trace import trace
from components.store.atomic import write_json

IMAGE = "0" * 64
VERSIONS: dict[Form, int] = {"full": 1000, "quick": 100, "smoke": 3}


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
        "images_sha256": "", "prompt_summary": {}, "subjects": {},
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


def tables(form: Form) -> list[Table]:
    kept = dict(os.environ)
    try:
        with tempfile.TemporaryDirectory() as home:
            os.environ.update(QUIET | {"LOOKOUT_HOME": home})
            os.environ.pop("MLFLOW_TRACKING_URI", None)
            return [_questions(VERSIONS[form], REPEATS[form])]
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _questions(count: int, repeats: int) -> Table:
    filled = seconds_of(lambda: fill(count))
    client, number = connect(), str(count // 2 + 1)
    index = seconds_of(lambda: used_by(IMAGE))
    took = medians(
        {
            "trace by number": lambda: trace(number),
            "trace by alias": lambda: trace("@champion"),
            "used-by, with the index there": lambda: used_by(IMAGE),
            "number": lambda: client.get_model_version("lookout", number),
            "alias": lambda: client.get_model_version_by_alias("lookout", "champion"),
            "listing": lambda: _listing(client),
        },
        repeats,
    )
    peers = {
        "trace by number": "number",
        "trace by alias": "alias",
        "used-by, with the index there": "listing",
    }
    rows: list[tuple[Cell, ...]] = [
        (what, took[what], took[peer], took[what] / took[peer]) for what, peer in peers.items()
    ]
    rows.append(("used-by, the first time", index, took["listing"], index / took["listing"]))
    note = (
        f"{count:,} versions, registered in {filled:,.1f} s. MLflow's side: get_model_version, the same by alias, and "
        "a listing of all versions, none of which says what they were made from. The first used-by makes the index."
    )
    return Table("Questions to the registry", ("question", "ours, s", "MLflow, s", "ours / MLflow"), tuple(rows), note)


def _listing(client: Any) -> list[Any]:
    found: list[Any] = []
    page = client.search_model_versions("name='lookout'", max_results=200)
    found += page
    while page.token:
        page = client.search_model_versions("name='lookout'", max_results=200, page_token=page.token)
        found += page
    return found


if __name__ == "__main__":
    run_script(tables, __doc__)
