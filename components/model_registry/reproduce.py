"""`lookout reproduce`: a version made again from its commit, params and data; are the weights the same bytes?"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from components.errors import RegistryError
from components.graph.dvc_lock import LOCK_FILE, out_digests, read_lock_file
from components.graph.worktree import add_worktree
from components.machine.dvc import run_dvc
from components.machine.home import lookout_home
from components.machine.last_words import reason
from components.model_registry.lineage import hardware, installed
from components.model_registry.lineage_types import Base, Lineage
from components.model_registry.mlflow_types import Version
from components.model_registry.registry import connect, find_version, statement_of, uri_of
from components.model_registry.statement import from_statement
from components.model_registry.verify import lock_of, unseen, verify
from components.params.reading import PARAMS_FILE
from components.params.whole import load_params
from components.policy.families import file_digests
from components.store.digest import file_sha256

log = logging.getLogger("lookout.reproduce")
ORDER = ("synthesize", "ingest", "validate", "base", "prompts", "sft", "grpo")
WEIGHTS = Path("models/grpo/model.safetensors")


@dataclass(frozen=True, slots=True)
class Reproduction:
    """wanted, found: SHA-256 by weight file; first_difference: the first stage whose output has another digest."""

    version: str
    folder: Path
    wanted: dict[str, str]
    found: dict[str, str]
    first_difference: str | None
    other_environment: list[str]

    @property
    def same(self) -> bool:
        return self.wanted == self.found


def reproduce(reference: str, into: Path, start: str = "ingest") -> Reproduction:
    """Runs every stage from `start` to grpo again in a worktree at `into`, with the embedded params.yaml.

    Stages before `start` are taken from the cache or the remote. Raises RegistryError where one of
    them fails, and before anything is made where a claim of the version is broken.
    """
    version = find_version(connect(), reference)
    _refuse_broken(version)
    lineage = from_statement(statement_of(version))
    if start not in ORDER:
        raise RegistryError(f"--from {start}: want one of {', '.join(ORDER)}")
    _worktree(lineage, into)
    bring_local_base(lineage["base"], into)
    stages = [name for name in lineage["commands"] if name.split("@")[0] in ORDER]
    stages.sort(key=lambda name: ORDER.index(name.split("@")[0]))
    again = [name for name in stages if ORDER.index(name.split("@")[0]) >= ORDER.index(start)]
    kept = [name for name in stages if name not in again]
    if kept:
        _dvc(into, "pull", "-q", *kept, check=False)  # from the cache, else from the remote
    for name in kept:  # what neither has is made again too, where it can be: drawn data
        _dvc(into, "repro", "--single-item", name)
    for name in again:
        log.info("%s", name)
        _dvc(into, "repro", "--single-item", "--force", "--no-run-cache", name)
    found = {path.name: file_sha256(path) for path in sorted((into / WEIGHTS.parent).glob("*.safetensors"))}
    return Reproduction(
        f"models:/{version.name}/{version.version}", into, lineage["weights"], found,
        _first_difference(lineage, into, stages), _other_environment(lineage),
    )  # fmt: skip


def _refuse_broken(version: Version) -> None:
    findings = verify(uri_of(version))
    broken = [finding for finding in findings if finding.holds is False]
    if broken:
        raise RegistryError(
            f"{uri_of(version)} does not hold ({broken[0].claim}: {broken[0].seen}), so nothing of it is run; "
            f"lookout verify {version.version} lists all that is broken"
        )
    for finding in unseen(findings):
        log.warning("unseen: %s: %s", finding.claim, finding.seen)


def _worktree(lineage: Lineage, into: Path) -> None:
    commit = lineage["code"]["commit"]
    if commit is None or not lineage["code"]["clean"]:
        raise RegistryError("its code was not committed when it was registered: it cannot be made again")
    if into.exists() and any(into.iterdir()):
        raise RegistryError(f"{into} is there already and not empty; name a new folder")
    add_worktree(into, commit, lineage["state"])
    load_params(into / PARAMS_FILE)  # DVC empties the folders that params.yaml names before a stage runs


def bring_local_base(base: Base, into: Path) -> None:
    """Has the worktree see the local folder that the base was made from, where it is what the lineage says.

    Raises RegistryError where the folder is gone or a file of it has another digest. A base that was built, fetched by
    its revision or taken from the registry has none.
    """
    if not base.get("local"):
        return
    wanted, folder = base.get("source_sha256", {}), Path(base["name"])
    if not folder.is_dir():
        raise RegistryError(f"the version's base was made from the local folder {folder}, which is not there")
    found = file_digests(folder)
    other = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if other:
        raise RegistryError(
            f"{folder} is no longer what the version's base was made from: {', '.join(other)} differ; bring the old "
            "files back"
        )
    if not folder.is_absolute():  # git does not know it: the worktree lacks it
        (into / folder).parent.mkdir(parents=True, exist_ok=True)
        (into / folder).symlink_to(folder.resolve())


def _dvc(folder: Path, *command: str, check: bool = True) -> None:
    answer = run_dvc(*command, cwd=folder, PYTHONPATH=str(folder.resolve()), PYTHONSAFEPATH="1")
    if check and answer.returncode:
        said = lookout_home() / "reproduce.log"  # the worktree may be taken away
        said.write_text(answer.stdout + answer.stderr)
        why = reason([*answer.stdout.splitlines(), *answer.stderr.splitlines()])
        raise RegistryError(f"dvc {' '.join(command)} failed in {folder}: {why}; all that it said is in {said}")


def _first_difference(lineage: Lineage, into: Path, stages: list[str]) -> str | None:
    """The first stage, in the graph's order, one of whose outputs has another digest than the version's dvc.lock."""
    before, after = lock_of(lineage), read_lock_file(into / LOCK_FILE)
    for name in stages:
        ends = [_deciding(out_digests(lock, name)) for lock in (before, after)]
        if ends[0] != ends[1]:
            return name
    return None


def _deciding(outs: dict[str, str]) -> dict[str, str]:
    """Digests of a stage's outputs but for its reports: those tell times."""
    return {path: digest for path, digest in outs.items() if not path.startswith("reports/")}


def _other_environment(lineage: Lineage) -> list[str]:
    """What differs here from where the version was trained."""
    wanted, here = lineage["environment"]["libraries"], installed()
    told = [f"{name} {wanted[name]} there, {here.get(name)} here" for name in wanted if wanted[name] != here.get(name)]
    cpus = lineage["environment"]["hardware"]["cpu"], hardware()["cpu"]
    return told + ([f"{cpus[0]} there, {cpus[1]} here"] if cpus[0] != cpus[1] else [])
