"""The whole pipeline under Prefect: a task a stage. `python -m flows.retrain` needs no server.

A bare `dvc repro` afterwards finds nothing to do: both run the same stages on the same cache.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.states import State

from components.errors import LookoutError
from components.machine.code_state import warn_uncommitted
from components.machine.git import git
from components.operations.up import check_prefect
from components.params.whole import load_params
from components.store.json_file import read_json
from flows.artifacts import REPORTS, done, show_links, show_scores, show_validation, tell
from flows.place import only_training, place
from flows.promotion import Promote, decide
from flows.stage_task import StageFailed, run_stages

LONGEST_NAME = 200


def run_name() -> str:
    """`crowdhuman · grpo · looking 0.5`: datasets, last stage, what is overridden."""
    given: dict[str, Any] = flow_run.parameters
    short = [f"{key.split('.')[-1]} {value}" for key, _, value in (one.partition("=") for one in given["overrides"])]
    names = given["profile"] or "+".join(load_params().datasets)
    return " · ".join([names, "+".join(given["stages"]) or "all", *short])[:LONGEST_NAME]


@flow(name="retrain", flow_run_name=run_name, log_prints=False, validate_parameters=True)
def retrain(
    profile: str = "",
    overrides: list[str] = [],  # noqa: B006  (a form's default: Prefect copies it)
    stages: list[str] = [],  # noqa: B006
    force: bool = False,
    promote: Promote = "never",
    keep: str = "",
    new_datasets: bool = False,
) -> State[str]:
    """Runs every stage in the graph's order; registers a challenger; says what became of it.

    Raises StageFailed with the stage's own sentence, ParamsError before anything runs.

    Args:
        profile: a file of conf/profile, without .yaml; empty: the params.yaml in force
        overrides: KEY=VALUE of params.yaml, like `rewards.weights.looking=0.5`, checked before anything runs; such a
            run has a worktree of its own
        stages: what to end with, by its names in dvc.yaml (`validate`, `grpo`, `score@sft`); empty: everything
        force: run stages that are up to date, too
        promote: never; if-better: where every gate passes; ask: a person answers on this run's page
        keep: a new branch for the result of a run with overrides; empty: none (its version's tag keeps it anyway)
        new_datasets: whether a mapping among the overrides may bring keys that are not there, like another dataset
    """
    with place(profile, overrides, keep, new_datasets):
        params = load_params()
        _tag(params.profile, list(params.datasets))
        warn_uncommitted(get_run_logger())
        with only_training():
            cached = run_shown(stages, force)
        said = f"{sum(cached)} of {len(cached)} stages were up to date"
        get_run_logger().info(said)
        if (stages and "register" not in stages) or (all(cached) and promote == "never"):
            return done(said)
        show_scores()
        show_links(list(params.datasets))
        registration = read_json(REPORTS / "registration.json")
        return done(decide(registration["model_uri"], promote))


def run_shown(targets: Sequence[str] = (), force: bool = False) -> list[bool]:
    """Runs the targets and what is before them, and shows each validation, also one that stops the run.

    For each stage whether it was up to date. Raises StageFailed.
    """
    cached: list[bool] = []
    try:
        for stage, was_there in run_stages(targets, force):
            cached.append(was_there)
            if stage.startswith("validate@"):
                _show(stage.removeprefix("validate@"))
    except StageFailed as error:
        if error.stage.startswith("validate@"):
            show_validation(error.stage.removeprefix("validate@"), stopped=True)
        raise
    return cached


def _show(dataset: str) -> None:
    drift = show_validation(dataset)
    if drift is not None and drift["moved"]:
        sentence = f"{dataset} has drifted: {', '.join(drift['moved'])}"
        get_run_logger().warning(sentence)
        tell("lookout.drift", f"lookout.dataset.{dataset}", sentence)


def _tag(profile: str, datasets: list[str]) -> None:
    """The run's tags: `training`, its datasets, profile and commit."""
    commit = (git("rev-parse", "--short=10", "HEAD") or "no commit").strip()
    with get_client(sync_client=True) as client:
        there = set(client.read_flow_run(flow_run.id).tags)
        client.update_flow_run(
            flow_run.id, tags={*there, "training", *datasets, f"profile {profile}", f"commit {commit}"}
        )


def main() -> None:
    """Runs the flow once; what the user can mend is one sentence and exit code 1."""
    try:
        check_prefect()
        retrain()
    except LookoutError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
