"""What does everything around the work cost: a pipeline with nothing to do, the flow around it, imports, --help?

A clone of this checkout (what is committed) is run once with params that make every stage seconds, then `dvc repro` and
`python -m flows.retrain` find all of it up to date, taking turns. Every other row is a fresh process beside one that
does nothing. `python -m benchmarks.overhead` prints two tables.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML

from benchmarks.measuring import REPEATS, Cell, Form, Table, medians, run_script
from components.machine.quiet import QUIET

IMPORTS = {
    "components.cli.main": "import components.cli.main",
    "torch": "import torch",
    "trl (GRPOTrainer)": "from trl import GRPOTrainer",
    "great_expectations": "import great_expectations",
    "mlflow": "import mlflow",
    "prefect": "import prefect",
}
HELP, NOTHING = "lookout --help", "python -c pass"
HELP_ASKED_S = 0.5
DVC_VERSION, NO_OP, FLOW = "dvc --version", "dvc repro, nothing to do", "flows.retrain, nothing to do"


def tables(form: Form) -> list[Table]:
    with tempfile.TemporaryDirectory() as name:
        return [processes(form), pipeline(Path(name), form)]


def processes(form: Form) -> Table:
    """Import times and --help."""
    imports = {"components.cli.main": IMPORTS["components.cli.main"]} if form == "smoke" else IMPORTS
    sides: dict[str, Callable[[], object]] = {
        NOTHING: lambda: python("-c", "pass"),
        HELP: lambda: python("-m", "components.cli.main", "--help"),
    }
    sides |= {f"import {name}": lambda code=code: python("-c", code) for name, code in imports.items()}
    took = medians(sides, REPEATS[form])
    asked: dict[str, Cell] = {HELP: HELP_ASKED_S}
    rows = tuple((what, s, s / took[NOTHING], asked.get(what)) for what, s in took.items())
    columns = ("process", "s", f"times {NOTHING}", "asked, s")
    return Table("Start-up", columns, rows, "Whole processes, start to end, files in the page cache.")


def pipeline(folder: Path, form: Form) -> Table:
    """The no-op pipeline with and without the flow; the smoke form makes one stage of it only."""
    checkout = clone(folder / "checkout")
    targets = ("synthesize",) if form == "smoke" else ()
    dvc, flow = ("dvc", "repro", *targets), ("flows.retrain",)
    python("-m", *dvc, cwd=checkout)
    sides: dict[str, Callable[[], object]] = {
        DVC_VERSION: lambda: python("-m", "dvc", "--version", cwd=checkout),
        NO_OP: lambda: python("-m", *dvc, cwd=checkout),
    }
    if form != "smoke":
        python("-m", *flow, cwd=checkout)  # Prefect makes its database, once in a home
        sides[FLOW] = lambda: python("-m", *flow, cwd=checkout)
    took = medians(sides, REPEATS[form])
    base = took[NO_OP]
    rows: list[tuple[Cell, ...]] = [(what, s, s / base, s - base if what == FLOW else None)
                                    for what, s in took.items()]  # fmt: skip
    columns = ("command", "s", "times a bare dvc repro", "more than it, s")
    note = "A checkout whose stages are all up to date; the flow as it runs where no Prefect server is up."
    return Table("A pipeline with nothing to do", columns, tuple(rows), note)


def clone(folder: Path) -> Path:
    """This checkout's commit with params that make every stage a matter of seconds."""
    subprocess.run(["git", "clone", "--quiet", ".", str(folder)], check=True)
    yaml = YAML(typ="safe", pure=True)
    params = yaml.load((folder / "params.yaml").read_text())
    sizes = {"train": 40, "val": 4, "test": 4}
    params["synthetic"]["crowd"]["images"] = sizes
    params["prompts"]["max_samples"] = sizes
    params["sft"] |= {"max_steps": 1, "per_device_train_batch_size": 4, "warmup_steps": 0, "logging_steps": 1}
    params["grpo"] |= {"max_steps": 1, "per_device_train_batch_size": 4, "num_generations": 2, "warmup_steps": 0}
    params["grpo"] |= {"max_completion_length": 16, "kept_rollout_groups": 1}
    params["predict"] |= {"max_new_tokens": 8, "batch_size": 4, "samples": 0, "threads": 1}
    params["score"] |= {"tie_shuffles": 1, "bootstrap_samples": 10}
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(params, file)
    return folder


def python(*arguments: str, cwd: Path | None = None) -> None:
    """Raises RuntimeError with what it said where it fails."""
    others = ("MLFLOW_", "PREFECT_", "DVC_", "LOOKOUT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    home = {} if cwd is None else {"LOOKOUT_HOME": str(cwd / ".lookout")}
    environment = kept | QUIET | home | {"PATH": path, "PYTHONPATH": ".", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with: {(ended.stdout + ended.stderr)[-2000:]}")


if __name__ == "__main__":
    run_script(tables, __doc__)
