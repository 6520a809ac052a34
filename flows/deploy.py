"""Makes what prefect.yaml and the server need, again and again the same: pool, limit, deployments, automations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import cast
from uuid import UUID

from prefect.automations import Automation
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events.actions import ChangeFlowRunState, RunDeployment, SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import StateType
from prefect.types import SecretDict

from components.operations.up import POOL
from flows.place import make_limit

WEBHOOK = "LOOKOUT_WEBHOOK"
SILENT_S = 90
"""A run that says nothing for so long is dead: it says that it lives every 30 s."""
NEWS = {"prefect.flow-run.Failed", "prefect.flow-run.Crashed", "lookout.drift", "lookout.promoted",
        "lookout.champion-dropped"}  # fmt: skip


def main() -> None:
    """Everything that `make up` wants of a server that runs."""
    with get_client(sync_client=True) as client:
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        make_limit(client)
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
        subprocess.run(command, check=True)
        for automation in (zombies(), second_try(client), *notifications()):
            _have(client, automation)


def _have(client: SyncPrefectClient, automation: Automation) -> None:
    """Makes it where it is not there or is another: one that is made anew forgets the runs that it was watching."""
    text = json.dumps(automation.model_dump(mode="json", exclude={"id": True, "trigger": {"id"}}), sort_keys=True)
    automation.description = f"made by `make up`, definition {sha256(text.encode()).hexdigest()[:16]}"
    there = client.read_automations_by_name(automation.name)
    if [old.description for old in there] == [automation.description]:
        return
    for old in there:
        client.delete_automation(old.id)
    automation.create()


def zombies() -> Automation:
    """A run whose heartbeat stops becomes Crashed."""
    trigger = EventTrigger(
        after={"prefect.flow-run.heartbeat"}, expect={"prefect.flow-run.*"},
        match={"prefect.resource.id": ["prefect.flow-run.*"]}, for_each={"prefect.resource.id"},
        posture=Posture.Proactive, threshold=1, within=timedelta(seconds=SILENT_S),
    )  # fmt: skip
    # not by force: a run that has ended, and whose last heartbeat came late, stays as it is
    said = "It says nothing any more: its process was killed."
    action = ChangeFlowRunState(name="Crashed", state=StateType.CRASHED, message=said, force=False)
    return Automation(name="lookout: a silent run has crashed", trigger=trigger, actions=[action])


def second_try(client: SyncPrefectClient) -> Automation:
    """A run that crashed is scheduled once more."""
    trigger = EventTrigger(expect={"prefect.flow-run.Crashed"}, match={"prefect.resource.id": ["prefect.flow-run.*"]},
                           for_each={"prefect.resource.id"}, posture=Posture.Reactive, threshold=1)  # fmt: skip
    crashed = {"__prefect_kind": "jinja", "template": "{{ event.resource.id | replace('prefect.flow-run.', '') }}"}
    deployment = client.read_deployment_by_name("recover/recover")
    action = RunDeployment(
        source="selected", deployment_id=deployment.id, parameters={"crashed": crashed}, job_variables=None
    )
    return Automation(name="lookout: a crashed run is given once more", trigger=trigger, actions=[action])


def webhook(url: str) -> CustomWebhookNotificationBlock:
    """Whoever knows the address may post to it: the server keeps it encrypted, and its API shows stars."""
    return CustomWebhookNotificationBlock(
        name="lookout", url="{{webhook}}", json_data={"text": "{{subject}}\n{{body}}"}, headers=None, cookies=None,
        secrets=SecretDict({"webhook": url}),
    )  # fmt: skip


def notifications() -> list[Automation]:
    """A message to LOOKOUT_WEBHOOK, as Slack reads it, of failures, drift and promotions; none where it is not set."""
    url = os.environ.get(WEBHOOK)
    if not url:
        return []
    block = webhook(url)
    identity = cast(UUID, block.save("lookout-webhook", overwrite=True))
    trigger = EventTrigger(expect=NEWS, posture=Posture.Reactive, threshold=1, for_each={"prefect.resource.id"})
    action = SendNotification(block_document_id=identity, subject="Lookout: {{ event.event }}",
                              body="{{ event.resource['prefect.resource.name'] }}")  # fmt: skip
    return [Automation(name="lookout: news to the webhook", trigger=trigger, actions=[action])]


if __name__ == "__main__":
    main()
