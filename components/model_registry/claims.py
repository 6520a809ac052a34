"""What a statement says, held against what was written elsewhere: artifacts, dvc.lock, git, the registry's own record.

A statement and its copy can be rewritten together; these cannot be in the same stroke.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.dotted import value_at
from components.core.words import TRAINED
from components.errors import DataError
from components.graph.dvc_lock import Lock, out_digests
from components.machine.git import git
from components.model_registry.lineage import DECIDES, lineage_key
from components.model_registry.lineage_types import Lineage
from components.model_registry.mlflow_types import Version
from components.model_registry.packaging import PACKAGE, as_package
from components.model_registry.record import run_metrics, run_params, version_tags
from components.model_registry.registry import artifact, connect
from components.model_registry.state_commit import files_at
from components.model_registry.subjects import ARTIFACTS, POLICY, RUN_FILES, SCORES, digests
from components.model_registry.yaml_text import yaml_values
from components.store.atomic import canonical_json
from components.store.digest import dvc_digest
from components.store.json_file import is_object, read_json

LOADER = "mlflow.pyfunc.loaders.code_model"
TRUNCATED = 500
"""MLflow cuts a longer parameter, somewhere behind here."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim: whether it holds, and what was seen. `holds` None: it could not be looked at here."""

    claim: str
    holds: bool | None
    seen: str


def claim_findings(version: Version, lineage: Lineage, lock: Lock, folder: Path) -> list[Finding]:
    """All of them; `folder` is what MLflow loads. Raises RegistryError where the run lacks an artifact altogether."""
    reports = {place: artifact(version, place) for place in ARTIFACTS}
    flavor = yaml_values((folder / "MLmodel").read_text(), {}).get("flavors", {}).get("python_function", {})
    # the file that MLflow runs: a copy of one of the modules under code/, under the name that it had there
    entry = folder / Path(str(flavor.get("model_code_path"))).name
    return [
        _artifacts(lineage, reports),
        _loads(flavor, entry, folder),
        _code(lineage, entry, folder),
        _key(lineage),
        _params(lineage, lock),
        _scores(lineage, lock, reports[SCORES]),
        _trainings(lineage),
        _record(version, lineage),
    ]


def _compared(claim: str, wrong: list[str], right: str) -> Finding:
    """Broken by the first of `wrong`; with none it holds, as `right` says."""
    seen = f"{wrong[0]}{f' ({len(wrong)} in all)' if len(wrong) > 1 else ''}" if wrong else right
    return Finding(claim, not wrong, seen)


def _artifacts(lineage: Lineage, reports: dict[str, Path]) -> Finding:
    claim = "artifacts that gates read are the statement's"
    wanted = {name: one for name, one in lineage["subjects"].items() if name.startswith(RUN_FILES)}
    if not wanted:
        return Finding(claim, None, "the statement names none: an earlier Lookout registered this version")
    found: dict[str, str] = {}
    for place, path in reports.items():
        found |= digests(path, f"{RUN_FILES}{place}")
    wrong = [
        f"{name.removeprefix(RUN_FILES)} "
        + ("is not there" if name not in found else "is not named" if name not in wanted else "has other bytes")
        for name in sorted(set(wanted) | set(found))
        if wanted.get(name) != found.get(name)
    ]
    return _compared(claim, wrong, f"{len(found)} files")


def _loads(loaded: Any, entry: Path, folder: Path) -> Finding:
    """MLmodel loads the policy and the code that the statement names, and nothing from elsewhere."""
    paths = {name: one.get("path") for name, one in loaded.get("artifacts", {}).items() if name != "statement"}
    seen = {
        "weights from": (paths, {"policy": f"artifacts/{POLICY}"}),
        "loader": (loaded.get("loader_module"), LOADER),
        "code": (loaded.get("code"), "code"),
    }
    wrong = [f"{name} {found}, want {wanted}" for name, (found, wanted) in seen.items() if found != wanted]
    folders = sorted(path.name for path in (folder / "artifacts").iterdir() if path.is_dir())
    wrong += [f"another folder of weights: artifacts/{name}" for name in folders if name != POLICY]
    wrong += [] if entry.is_file() else [f"model code {entry.name}, which is not there"]
    return _compared("MLmodel loads what was registered", wrong, f"artifacts/{POLICY}, {entry.name}")


def _code(lineage: Lineage, entry: Path, folder: Path) -> Finding:
    """The code that travels is, file by file, that of the commit."""
    claim, code = "code that is loaded is the commit's", lineage["code"]
    commit = code["commit"]
    if not code["clean"] or commit is None or git("cat-file", "-t", commit) is None:
        return Finding(claim, None, "the code was not committed" if not code["clean"] else "the commit is not here")
    name = f"lookout_{lineage['key'][:16]}"
    there = [path for path in sorted((folder / "code").rglob("*")) if path.is_file() or path.is_symlink()]
    sources: dict[Path, str] = {}
    for path in there:
        package, *inner = path.relative_to(folder / "code").parts
        sources[path] = "/".join((PACKAGE, *inner)) if package == name else ""
    sources[entry] = next((sources[path] for path in there if _is_copy(entry, path)), "")
    committed = files_at(commit, [source for source in sources.values() if source])
    wrong = [
        f"{path.relative_to(folder).as_posix()} differs"
        for path, source in sources.items()
        if source not in committed or path.is_symlink() or not path.exists()
        or path.read_text() != as_package(committed[source].decode(), name)
    ]  # fmt: skip
    return _compared(claim, wrong, f"{len(sources)} files")


def _is_copy(entry: Path, path: Path) -> bool:
    return entry.name == path.name and entry.is_file() and entry.read_bytes() == path.read_bytes()


def _key(lineage: Lineage) -> Finding:
    found = lineage_key(lineage)
    seen = found[:16] if found == lineage["key"] else f"{found[:16]}, the statement says {lineage['key'][:16]}"
    return Finding(f"key is that of {', '.join(DECIDES)}", found == lineage["key"], seen)


def _params(lineage: Lineage, lock: Lock) -> Finding:
    """params.yaml, what the lock recorded for each stage, and the statement's own words are one."""
    values, wrong = yaml_values(lineage["state"]["params.yaml"], {}), list[str]()
    count = 0
    for stage, body in lock["stages"].items():
        for key, recorded in body.get("params", {}).get("params.yaml", {}).items():
            count += 1
            if value_at(values, key) != recorded:
                wrong.append(f"{stage}: {key} differs")
    said: dict[str, Mapping[str, object]] = {"rewards": lineage["rewards"]}
    said |= {f"datasets.{name}": one for name, one in lineage["data"].items()}
    for key, one in said.items():
        there = value_at(values, key)
        own = {name: one[name] for name in ("format", "root", "licence", "role") if name in one} or one
        if not _agrees(there, own):
            wrong.append(f"{key} is another in the statement")
    if set(values.get("datasets") or {}) != set(lineage["data"]):
        wrong.append("the statement names other datasets")
    return _compared("params.yaml is what dvc.lock ran with", wrong, f"{count} entries agree")


def _agrees(there: object, said: object) -> bool:
    """Whether every value of params.yaml stands so in what was said; said alone are defaults."""
    if is_object(there) and is_object(said):
        return all(key not in said or _agrees(value, said[key]) for key, value in there.items())
    return there == said


def _scores(lineage: Lineage, lock: Lock, reports: Path) -> Finding:
    """The statement's metrics are those of metrics.json, and the reports are the bytes that dvc.lock names."""
    wanted = {path: md5 for path, md5 in out_digests(lock).items() if path.startswith(f"{SCORES}/")}
    wrong = [] if wanted else ["dvc.lock names no scores"]
    for path, md5 in wanted.items():
        place = reports / Path(path).relative_to(SCORES)
        found = dvc_digest(place) if place.exists() else None
        if found != md5:
            wrong.append(f"{path} is {found}, dvc.lock says {md5}")
    for model, metrics in lineage["metrics"].items():
        if _read_or_none(reports / model / "metrics.json") != metrics:
            wrong.append(f"the statement's metrics of {model} are not those of its report")
    return _compared("scores are dvc.lock's", wrong, f"{len(wanted)} files and folders")


def _read_or_none(path: Path) -> object:
    try:
        return read_json(path)
    except DataError:
        return None


def _trainings(lineage: Lineage) -> Finding:
    """Each training began from the weights before it, and the last one ended in those registered."""
    sft, grpo = (lineage["training"][stage] for stage in TRAINED)
    base = {name: digest for name, digest in lineage["base"]["sha256"].items() if name.endswith(".safetensors")}
    steps = {
        "sft did not start from the base": (sft.get("starting_weights_sha256"), _digest(base)),
        "grpo did not start from sft's weights": (grpo.get("starting_weights_sha256"), sft["weights_sha256"]),
        "grpo ended in other weights": (grpo["weights_sha256"], _digest(lineage["weights"])),
    }
    wrong = [f"{what}: {str(found)[:16]}, want {wanted[:16]}" for what, (found, wanted) in steps.items()
             if found != wanted]  # fmt: skip
    return _compared("trainings follow each other", wrong, "base, sft, grpo")


def _digest(weights: dict[str, str]) -> str:
    return hashlib.sha256(canonical_json(weights).encode()).hexdigest()


def _record(version: Version, lineage: Lineage) -> Finding:
    """What the registry's database recorded at registration: tags, parameters, numbers."""
    run = connect().get_run(version.run_id).data
    tags = version_tags(lineage)
    wrong = [f"tag {name}" for name, value in tags.items() if version.tags.get(name, value) != value]
    for name, value in run_params(lineage).items():
        stored = run.params.get(name, str(value))
        if stored != str(value) and not (len(stored) >= TRUNCATED and str(value).startswith(stored)):
            wrong.append(f"parameter {name}")
    for name, value in run_metrics(lineage).items():
        stored = run.metrics.get(name, value)
        if not math.isclose(stored, value, rel_tol=1e-9) and not (math.isnan(stored) and math.isnan(value)):
            wrong.append(f"metric {name}")
    return _compared("registry recorded the same", [f"{one} differs" for one in wrong], f"run {version.run_id}")
