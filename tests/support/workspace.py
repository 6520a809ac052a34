"""A checkout in miniature: the real code and graph by link, the smoke profile's params made smaller still."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

REPO = Path(__file__).resolve().parents[2]
LINKED = ("components", "flows", "conf", "dvc.yaml")


def make_workspace(folder: Path) -> Path:
    """Links the code into `folder` and writes a params.yaml that makes every stage a matter of seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        (folder / name).symlink_to(REPO / name)
    yaml = YAML(typ="safe", pure=True)
    params = yaml.load((REPO / "params.yaml").read_text())
    sizes = {"train": 32, "val": 4, "test": 8}
    params["profile"] = "test"
    params["synthetic"]["crowd"]["images"] = sizes
    params["datasets"]["crowd"]["classes"] = {"person": "person", "*": "other"}  # no name that MLflow would take
    params["prompts"]["max_samples"] = sizes
    # as many steps as teach the grammar: without it all completions of a group earn 0 and GRPO changes nothing
    params["sft"] |= {"max_steps": 120, "per_device_train_batch_size": 8, "save_steps": 30, "logging_steps": 10}
    params["grpo"] |= {"max_steps": 3, "per_device_train_batch_size": 32, "num_generations": 4, "save_steps": 1}
    params["grpo"] |= {"max_completion_length": 64, "kept_rollout_groups": 2, "temperature": 0.4, "warmup_steps": 0}
    for stage in ("sft", "grpo"):
        params[stage]["launch"]["processes"] = 1
    params["predict"] |= {"max_new_tokens": 64, "batch_size": 4, "threads": 1}
    write_params(folder, params)
    return folder


def make_stores(folder: Path) -> None:
    """prefect.db and mlflow.db in `folder`, as a first start makes them."""
    folder.mkdir()
    environment = os.environ | {"PREFECT_HOME": str(folder)}
    mlflow = f"import mlflow; mlflow.MlflowClient('sqlite:///{folder}/mlflow.db').search_experiments()"
    for command in (["-m", "prefect", "server", "database", "upgrade", "-y"], ["-c", mlflow]):
        subprocess.run([sys.executable, *command], cwd=folder, env=environment, check=True, capture_output=True)


def write_params(folder: Path, params: dict) -> None:
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)


def read_params(folder: Path) -> dict:
    return YAML(typ="safe", pure=True).load((folder / "params.yaml").read_text())


def run_stage(folder: Path, stage: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a stage as dvc.yaml does, as a process of its own."""
    command = [sys.executable, "-m", "components.operations.stage", f"components.stages.{stage}", *arguments]
    environment = os.environ | {"LOOKOUT_HOME": str(folder / "home"), "PYTHONPATH": str(folder)}
    answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if check and answer.returncode:
        raise AssertionError(f"{stage} failed: {answer.stderr[-2000:]}")
    return answer


def call_stage(stage: str, *arguments: str) -> None:
    """Runs a stage in this process and its working folder: what stages import is imported once. Errors are raised."""
    from components.operations.stage import run

    before = sys.argv[:]
    try:
        run(f"components.stages.{stage}", [*arguments])
    finally:
        sys.argv[:] = before


def start_stage(folder: Path, stage: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Starts a stage as dvc.yaml does, in a session of its own; what it says goes to `<stage>.log`."""
    command = [sys.executable, "-m", "components.operations.stage", f"components.stages.{stage}", *arguments]
    environment = os.environ | {"LOOKOUT_HOME": str(folder / "home"), "PYTHONPATH": str(folder)}
    with (folder / f"{stage}.log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)


DATA_STAGES = (
    ("synthesize", "--name", "crowd"),
    ("ingest", "--dataset", "crowd"),
    ("validate", "--dataset", "crowd"),
    ("base",),
    ("prompts",),
)
