"""Running the pipeline: profiles, studies, servers, and what a run needs of this machine."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
verb = partial(app.command, rich_help_panel="running")


@verb()
def compose(profile: Annotated[str, typer.Argument(help="a file of conf/profile, without .yaml")]) -> None:
    """Write params.yaml from a profile."""
    from components.graph.compose import compose as write

    write(profile)
    typer.echo(f"params.yaml is now the profile {profile}; `dvc repro` runs what that changes")


class Promotion(StrEnum):
    """What becomes of a retraining's challenger."""

    never = "never"
    if_better = "if-better"
    ask = "ask"


@verb()
def retrain(
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of params.yaml, like rewards.weights.looking=0.5")
    ] = None,
    profile: Annotated[str, typer.Option(help="a file of conf/profile; params.yaml as it is where not given")] = "",
    promote: Annotated[Promotion, typer.Option(help="what becomes of the challenger")] = Promotion.never,
    new_dataset: Annotated[bool, typer.Option("--new-dataset", help="a mapping may bring keys that are new")] = False,
) -> None:
    """Have the server that `make up` started run the pipeline, with other parameters where they are given."""
    from components.operations.retrain import retrain as schedule

    name, page = schedule(profile, settings or [], promote.value, new_dataset)
    typer.echo(f"{name} is scheduled: {page}")


@verb()
def study(
    file: Annotated[Path, typer.Argument(help="a file of conf/study")],
    jobs: Annotated[int, typer.Option(min=1, max=8, help="runs at once")] = 1,
    out: Annotated[Path, typer.Option(help="folder of the table and the plot")] = Path("docs/studies"),
    only_table: Annotated[bool, typer.Option("--only-table", help="of what has been run so far")] = False,
) -> None:
    """Run every arm of a study under every seed, and write its table and plot; stopped, it goes on from there."""
    import logging

    from components.study.plan import load_study
    from components.study.results import collect, table, write_results
    from components.study.run import run_study

    logging.getLogger("lookout").setLevel(logging.INFO)
    plan = load_study(file)
    if not only_table:
        run_study(plan, jobs)
    results = collect(plan)
    write_results(results, plan, out)
    typer.echo(table(results, plan))


@verb()
def summary() -> None:
    """Print the scores of base, SFT and GRPO, the version registered, and where to look."""
    from components.operations.summary import print_summary

    print_summary()


@verb()
def up() -> None:
    """Start Prefect's and MLflow's servers and a worker on loopback, with deployments and schedules."""
    from components.operations.up import up as begin

    typer.echo("\n".join(begin()))


@verb()
def down() -> None:
    """End what `lookout up` started, and nothing else."""
    from components.operations.up import down as end

    typer.echo("\n".join(end()))


@verb()
def status() -> None:
    """Which of the servers run and answer; exit code 1 where one does not."""
    from components.operations.up import status as look

    rows = look()
    for name, healthy, where in rows:
        typer.echo(f"{name:<8} {'up' if healthy else 'down':<5} {where}")
    if not all(healthy for _, healthy, _ in rows):
        raise typer.Exit(1)


@verb()
def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="mend what a kill of DVC has torn: dvc.lock and its record of use")
    ] = False,
) -> None:
    """Look at what a run needs of this machine and say what to do; exit code 1 where something will not work."""
    from components.operations.doctor import examine

    if repair:
        from components.graph.kept_lock import repairs

        typer.echo("\n".join(repairs()) or "dvc.lock and DVC's record of use are whole: nothing to repair")
        return

    findings = examine()
    for one in findings:
        typer.echo(f"{one.verdict:<5} {one.what}: {one.seen}{f' -> {one.todo}' if one.todo else ''}")
    if any(one.verdict == "bad" for one in findings):
        raise typer.Exit(1)
