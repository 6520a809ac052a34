"""Scoring without a model: rewards of completions, and anybody's results."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from components.core.tasks import TASKS, USUAL, has_own_tables
from components.errors import LookoutError

app = typer.Typer()
verb = partial(app.command, rich_help_panel="scoring")
SHUFFLES = 20


@verb()
def reward(
    completions: Annotated[Path, typer.Option(help="a JSON object a line: group, completion, width, height, truth")],
    params: Annotated[Path, typer.Option(help="a file with a section rewards:")] = Path("params.yaml"),
    output: Annotated[Path | None, typer.Option(help="a file instead of the terminal")] = None,
) -> None:
    """Score completions without a model: every reward of every line, the total and why a line cannot be read."""
    import json

    from components.params.reading import load_section
    from components.params.rewards import RewardsParams
    from components.scoring.files.completions import score_file, write_scores

    lines = [json.dumps(scores) for scores in score_file(completions, load_section(RewardsParams, params))]
    text = "\n".join(lines) + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    write_scores(text, output, completions)
    typer.echo(f"{len(lines)} completions scored into {output}", err=True)


class Protocol(StrEnum):
    """Which tables `lookout score` prints."""

    all = "all"
    coco = "coco"
    crowdhuman = "crowdhuman"
    citypersons = "citypersons"
    detection = "detection"


TASK_CHOICE = f"<{'|'.join(TASKS)}>"


def _known_task(name: str) -> str:
    if name not in TASKS:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, TASKS))}.")
    return name


@verb()
def score(
    truth: Annotated[Path, typer.Option(help="COCO instances; of another task a question a line, or its prompts")],
    predictions: Annotated[Path, typer.Option(help="COCO results, their order decides ties; or an answer a line")],
    task: Annotated[str, typer.Option(help="what was asked", metavar=TASK_CHOICE, callback=_known_task)] = USUAL,
    protocol: Annotated[Protocol, typer.Option(help="one table of detect, or all")] = Protocol.all,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    lenient: Annotated[bool, typer.Option("--lenient", help="detect: drop and count what cannot be used")] = False,
    shuffles: Annotated[int, typer.Option(min=0, help="detect: random orders, where all scores are equal")] = SHUFFLES,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="detect: boxes of a lower score are left out")] = 0.0,
) -> None:
    """Score anybody's results: a detector's (COCO, CrowdHuman, CityPersons), or answers of ground, count, read."""
    import json

    if has_own_tables(task):
        from components.scoring.files.detections import score_files, table

        scores = score_files(truth, predictions, protocol.value, lenient, shuffles, min_score)
        lines = table(scores)
    else:
        from components.scoring.files.task_answers import score_answers, table

        if lenient or protocol is not Protocol.all or shuffles != SHUFFLES or min_score:
            raise LookoutError(
                f"--lenient, --protocol, --min-score and --shuffles are of the task detect; leave them out for {task}"
            )
        scores = score_answers(task, truth, predictions)
        lines = table(scores)
    typer.echo(json.dumps(scores, indent=2) if as_json else lines)
