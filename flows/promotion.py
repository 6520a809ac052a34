"""Who becomes champion: never, where every gate passes, or where a person who sees the gates says so."""

from __future__ import annotations

from typing import Any, Literal

from prefect import flow, get_run_logger
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.states import State
from pydantic import Field

from components.model_registry.gates import SEEN
from flows.artifacts import done, show_gates, tell
from flows.stage_task import lookout

Promote = Literal["never", "if-better", "ask"]
A_WEEK_S = 7 * 24 * 3600


class Approval(RunInput):
    """What a person answers."""

    make_champion: bool = Field(default=False, description="make this version the champion")
    reason: str = Field(default="", description="why; wanted where a gate failed, and kept with the record")


@flow(name="promote", flow_run_name="{reference} · {promote}")
def promote(reference: str = "@challenger", promote: Promote = "ask") -> State[str]:
    """Holds a version against the champion, and makes it the champion where that is wanted. Raises StageFailed.

    Args:
        reference: models:/lookout/1, models:/lookout@challenger, @challenger or 1
        promote: never: only show the gates; if-better: where every gate passes; ask: a person answers on this page
    """
    return done(decide(reference, promote))


def decide(reference: str, mode: Promote) -> str:
    """The gates as an artifact, and what came of them in a sentence. Raises StageFailed."""
    move = ["--dry-run"] if mode != "if-better" else []
    outcome = lookout("promote", reference, *move)
    text = show_gates(outcome)
    if mode == "ask" and outcome["gates"]:
        outcome = _ask(reference, outcome, text)
    return _told(outcome, mode)


def _ask(reference: str, outcome: dict[str, Any], text: str) -> dict[str, Any]:
    logger = get_run_logger()
    logger.info("waits for a person: is %s to be the champion?", outcome["version"])
    answer = pause_flow_run(Approval.with_initial_data(description=text), timeout=A_WEEK_S, poll_interval=2)
    logger.info("answered: %s%s", "yes" if answer.make_champion else "no", answer.reason and f", {answer.reason}")
    if not answer.make_champion:
        return outcome
    failed = {gate["name"] for gate in outcome["gates"] if not gate["passed"]}
    overrule = [*(["--unseen-ok"] if SEEN in failed else []), *(["--force"] if failed - {SEEN} else [])]
    return lookout("promote", reference, *overrule, "--reason", answer.reason)


def _told(outcome: dict[str, Any], mode: Promote) -> str:
    version, before = outcome["version"], outcome["before"] or "nobody"
    if outcome["promoted"] and version == before:
        return f"{version} is the champion already"
    if outcome["promoted"]:
        sentence = f"{version} is champion; before: {before}"
        tell("lookout.promoted", "lookout.champion", sentence)
        return sentence
    failed = [gate["name"] for gate in outcome["gates"] if not gate["passed"]]
    why = f"failed: {', '.join(failed)}" if failed else f"every gate passes; promotion: {mode}"
    return f"{version} is challenger, champion is {before} ({why})"
