"""Where a run works, and when: in the checkout or in a worktree of its own, one training at a time."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.concurrency.sync import concurrency
from prefect.runtime import flow_run

from components.graph.compose import composed, overridden
from components.graph.kept_lock import repairs
from components.graph.worktree import add_worktree, remove_worktree
from components.machine.children import die_with_parent
from components.machine.git import git
from components.machine.home import lookout_home
from components.machine.training_lock import holders
from components.model_registry.lineage import LOCK_FILE, dvc_files
from components.model_registry.state_commit import git_tag
from components.params.names import check_name
from components.params.reading import PARAMS_FILE
from components.params.whole import load_params
from components.store.json_file import read_json

LIMIT = "lookout-training"
LEASE_S, LOOK_S = 60, 5


@contextmanager
def place(profile: str, overrides: Sequence[str], keep: str, new_datasets: bool = False) -> Iterator[None]:
    """This checkout for the parameters in force; else a worktree of HEAD with others, which is the folder meanwhile.

    The worktree is named by its parameters: after a kill the same run finds it again and finishes. It is removed
    once the work is done; keep: a branch that the version's commit is then put on. Raises ParamsError before
    anything is made. What a kill of DVC has torn is mended first.
    """
    _mend()
    if not profile and not overrides:
        load_params()
        yield
        return
    text = overridden(composed(profile) if profile else PARAMS_FILE.read_text(), overrides, new_datasets)
    commit = (git("rev-parse", "HEAD") or "").strip()
    if keep:
        check_name(keep)  # a branch's name is stricter here than git wants it
    into = lookout_home() / "runs" / hashlib.sha256(f"{commit}\0{text}".encode()).hexdigest()[:16]
    if not (into / PARAMS_FILE).exists():
        remove_worktree(into)
        lock = {LOCK_FILE.name: LOCK_FILE.read_text()} if LOCK_FILE.exists() else {}
        add_worktree(into, commit, dvc_files() | lock | {PARAMS_FILE.name: text})
    get_run_logger().info("works in %s, at commit %s; params.yaml here stays as it is", into, commit[:10])
    with chdir(into):
        _mend()
        yield
    if keep:
        _keep(keep, into / "reports/registration.json")
    remove_worktree(into)


def _mend() -> None:
    for said in repairs():
        get_run_logger().warning(said)


def _keep(branch: str, registration: Path) -> None:
    logger = get_run_logger()
    if not registration.exists():
        logger.warning("nothing was registered, so there is nothing to keep on %s", branch)
        return
    made = read_json(registration)
    tag = git_tag(made["name"], made["version"], made["key"])
    if git("branch", branch, tag) is None:
        logger.warning("the branch %s is there already; %s holds the result", branch, tag)


@contextmanager
def only_training() -> Iterator[None]:
    """One run trains at a time, by Prefect's limit and the machine's own lock; the second waits and says for what."""
    logger = get_run_logger()
    if "PREFECT__FLOW_RUN_ID" in os.environ:  # a worker's child: it does not train on behind the worker's back
        die_with_parent()
    with get_client(sync_client=True) as client:
        make_limit(client)
        limit = client.read_global_concurrency_limit_by_name(LIMIT)
        if limit.active_slots >= limit.limit:
            logger.info("waits: %s", " and ".join(_running(client)) or "another run holds the only slot")
    with concurrency(LIMIT, strict=True, lease_duration=LEASE_S, raise_on_lease_renewal_failure=False):
        while by_hand := holders():
            logger.info("waits: %s is training, started by hand", " and ".join(by_hand))
            time.sleep(LOOK_S)
        yield


def make_limit(client: SyncPrefectClient) -> None:
    """The server's limit of one training at a time, where it is not there yet; another number that was set stays."""
    if LIMIT not in {limit.name for limit in client.read_global_concurrency_limits()}:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=LIMIT, limit=1))


def busy() -> str:
    """Who is training, empty where nobody is."""
    with get_client(sync_client=True) as client:
        limits = {limit.name: limit for limit in client.read_global_concurrency_limits()}
        if LIMIT in limits and limits[LIMIT].active_slots:
            return " and ".join(_running(client)) or "another run"
    return " and ".join(holders())


def _running(client: SyncPrefectClient) -> list[str]:
    wanted = FlowRunFilter.model_validate({"state": {"type": {"any_": ["RUNNING"]}}, "tags": {"all_": ["training"]}})
    return [run.name for run in client.read_flow_runs(flow_run_filter=wanted) if str(run.id) != flow_run.id]
