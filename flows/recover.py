"""A run that crashed is given once more, once: its outputs stand in DVC's cache and its resume points on disk."""

from __future__ import annotations

from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import State

from flows.artifacts import done

AGAIN = "again"


@flow(name="recover", flow_run_name="recover {crashed}")
def recover(crashed: UUID) -> State[str]:
    """Schedules the crashed run's deployment with the same parameters, unless that run was itself a second try.

    Args:
        crashed: the run's ID
    """
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(crashed)
        if run.deployment_id is None:
            sentence = f"{run.name} was started by hand: start it again by hand"
        elif AGAIN in run.tags:
            sentence = f"{run.name} has crashed twice: a person must look"
        else:
            new = client.create_flow_run_from_deployment(
                run.deployment_id, parameters=run.parameters, tags=[AGAIN], idempotency_key=f"again-{run.id}"
            )
            sentence = f"{run.name} is scheduled again as {new.name}"
    return done(sentence)
