"""A registry changed by hand: each attack is refused by verify and by promote, by name, and nothing of it is loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from components.cli.main import app
from components.errors import RegistryError
from components.model_registry import packaging
from components.model_registry import verify as verifying
from components.model_registry.lineage import lineage_key
from components.model_registry.packaging import SERVING
from components.model_registry.promote import SEEN, VERIFIED, promote, rollback
from components.model_registry.recall import taint
from components.model_registry.register import register_model
from components.model_registry.registry import alias_version, connect, find_version, package_folder
from components.model_registry.statement import from_statement, to_statement
from components.model_registry.subjects import RUN_FILES, STATEMENT_COPY, STATEMENT_FILE, digests, package_digests
from components.model_registry.verify import refuse_altered, verify
from components.store.digest import dvc_folder_digest
from tests.support.toy_version import git, make_checkout, train

pytestmark = pytest.mark.slow
Lineage = dict[str, Any]


class Registry:
    """One registered version, and the files behind it."""

    def __init__(self) -> None:
        self.version = find_version(connect(), "1")
        self.model = package_folder(self.version)
        self.run = Path(urlparse(connect().get_run(self.version.run_id).info.artifact_uri).path)
        self.statement = self.run / STATEMENT_FILE

    def rewrite(self, change: Callable[[Lineage], None], subjects: bool = True) -> None:
        """Both copies of the statement; `subjects`: with the digests of the files as they are now."""
        lineage = from_statement(json.loads(self.statement.read_text()))
        change(lineage)
        if subjects:
            scores = digests(self.run / "reports/scores", f"{RUN_FILES}reports/scores")
            lineage["subjects"] |= package_digests(self.model) | scores
        for place in (self.statement, self.model / STATEMENT_COPY):
            place.write_text(json.dumps(to_statement(lineage)))


@pytest.fixture(scope="module")
def registered(prepared: Path, empty_stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkout and a registry that holds one version."""
    folder = tmp_path_factory.mktemp("registered")
    (folder / "home").mkdir()
    shutil.copy(empty_stores / "mlflow.db", folder / "home")
    make_checkout(prepared, folder / "checkout")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKOUT_HOME", str(folder / "home"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder / "checkout")
        train(folder / "checkout", "one", 5)
        register_model()
    return folder


@pytest.fixture
def registry(registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The version's registry, to be changed: afterwards it is as it was. The data is not what is attacked here."""
    monkeypatch.setenv("LOOKOUT_HOME", str(registered / "home"))
    monkeypatch.chdir(registered / "checkout")
    monkeypatch.setattr(verifying, "data_findings", lambda *_: [])
    kept = shutil.copytree(registered / "home", tmp_path / "kept")
    tag = git(registered / "checkout", "rev-parse", "lookout/v1").strip()
    yield Registry()
    shutil.rmtree(registered / "home/mlartifacts")
    shutil.copytree(kept / "mlartifacts", registered / "home/mlartifacts")
    shutil.copy(kept / "mlflow.db", registered / "home")
    git(registered / "checkout", "tag", "-f", "lookout/v1", tag)


def never(version: Any, lineage: Lineage) -> Path:
    raise AssertionError("nothing is scored again")


def append(path: str) -> Callable[[Registry], None]:
    def change(registry: Registry) -> None:
        with (registry.model / path).open("a") as file:
            file.write("\n# another\n")

    return change


def other_weights(registry: Registry) -> None:
    shutil.copytree(registry.model / "artifacts/grpo", registry.model / "artifacts/other")
    (registry.model / "artifacts/other/model.safetensors").write_bytes(b"others")
    points_elsewhere(registry)


def points_elsewhere(registry: Registry) -> None:
    path = registry.model / "MLmodel"
    path.write_text(path.read_text().replace("path: artifacts/grpo", "path: artifacts/other"))


def other_weights_named(registry: Registry) -> None:
    other_weights(registry)
    registry.rewrite(lambda _: None)


def new_rows(registry: Registry) -> None:
    scores = registry.run / "reports/scores"
    (scores / "grpo/per_image.parquet").write_bytes(b"rows of another model")


def new_rows_named(registry: Registry) -> None:
    new_rows(registry)
    registry.rewrite(lambda _: None)


def code_named(registry: Registry) -> None:
    append(SERVING.name)(registry)
    registry.rewrite(lambda _: None)


def put(*keys: str, to: Any) -> Callable[[Registry], None]:
    """A value of the lineage, rewritten in both copies of the statement."""

    def change(lineage: Lineage) -> None:
        for key in keys[:-1]:
            lineage = lineage[key]
        lineage[keys[-1]] = to

    return lambda registry: registry.rewrite(change, subjects=False)


def renamed_dataset(registry: Registry) -> None:
    registry.rewrite(lambda lineage: lineage["data"].update(other=lineage["data"].pop("crowd")), subjects=False)


def everything(registry: Registry) -> None:
    """Weights, statement, key and the embedded dvc.lock, all of one piece."""
    (registry.model / "artifacts/grpo/model.safetensors").write_bytes(b"others")

    def change(lineage: Lineage) -> None:
        found = {
            name.rpartition("/")[2]: one for name, one in package_digests(registry.model).items() if "grpo" in name
        }
        lineage["weights"] = {"model.safetensors": found["model.safetensors"]}
        old = next(line for line in lineage["state"]["dvc.lock"].splitlines() if "models/grpo" in line)
        lock = YAML(typ="safe", pure=True).load(lineage["state"]["dvc.lock"])
        (out,) = lock["stages"]["grpo"]["outs"]
        new = dvc_folder_digest(registry.model / "artifacts/grpo")
        assert old
        lineage["state"]["dvc.lock"] = lineage["state"]["dvc.lock"].replace(out["md5"], new)
        lineage["training"]["grpo"]["weights_sha256"] = weights_digest(lineage["weights"])
        lineage["key"] = lineage_key(lineage)

    registry.rewrite(change)


def weights_digest(weights: dict[str, str]) -> str:
    import hashlib

    from components.store.atomic import canonical_json

    return hashlib.sha256(canonical_json(weights).encode()).hexdigest()


TAGGED = "statement is the one that was registered"
PARAMS = "params.yaml is what dvc.lock ran with"
KEY = "key is that of weights, prompts, rewards, base, params"
RECORD = "registry recorded the same"
ATTACKS: dict[str, tuple[Callable[[Registry], None], str, str]] = {
    # attack: (what is done, the claim that breaks, the claim that breaks where the tag is not there)
    "served code changed": (append(SERVING.name), *[f"model file {SERVING.name}"] * 2),
    "requirements changed": (append("requirements.txt"), "model file requirements.txt", "model file requirements.txt"),
    "tokenizer changed": (append("artifacts/grpo/tokenizer.json"), *["model file artifacts/grpo/tokenizer.json"] * 2),
    "other weights beside the old ones": (other_weights, "model file MLmodel", "MLmodel loads what was registered"),
    "the same, named by the statement": (other_weights_named, TAGGED, "MLmodel loads what was registered"),
    "per_image.parquet replaced": (new_rows, *["artifacts that gates read are the statement's"] * 2),
    "the same, named by the statement ": (new_rows_named, TAGGED, "scores are dvc.lock's"),
    "served code changed and named": (code_named, TAGGED, "code that is loaded is the commit's"),
    "metrics rewritten": (put("metrics", "grpo", "format_rate", to=0.5), TAGGED, "scores are dvc.lock's"),
    "licence rewritten": (put("data", "crowd", "licence", to="MIT"), TAGGED, PARAMS),
    "dataset's name rewritten": (renamed_dataset, TAGGED, PARAMS),
    "commit rewritten": (put("code", "commit", to="0" * 40), TAGGED, RECORD),
    "rewards rewritten": (put("rewards", "weights", "looking", to=0.9), TAGGED, KEY),
    "base rewritten": (put("base", "name", to="another"), TAGGED, KEY),
    "key rewritten": (put("key", to="0" * 64), TAGGED, KEY),
    "weights, statement and lock together": (everything, TAGGED, RECORD),
}


@pytest.mark.parametrize("tag", [True, False], ids=["with the tag", "without"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_by_verify_and_promote_by_name(registry: Registry, attack: str, tag: bool) -> None:
    act, with_tag, without = ATTACKS[attack]
    act(registry)
    if not tag:
        git(Path(), "tag", "-d", "lookout/v1")
    broken = [finding.claim for finding in verify("1") if finding.holds is False]
    assert (with_tag if tag else without) in broken
    outcome = promote("1", never, force=True, reason="no one may", unseen_ok=True)
    assert not outcome.promoted
    (gate,) = [gate for gate in outcome.gates if gate.name == VERIFIED]
    assert not gate.passed
    assert gate.seen.startswith(broken[0])
    assert alias_version(connect(), "lookout", "champion") is None


@pytest.mark.parametrize("path", ["extra.py", "code/extra.py", "artifacts/grpo/extra.bin"])
def test_a_file_more_and_a_file_less_are_named_and_not_loaded(registry: Registry, path: str) -> None:
    (registry.model / path).write_bytes(b"x")
    (registry.model / "python_env.yaml").unlink()
    seen = {finding.claim: finding.seen for finding in verify("1") if finding.holds is False}
    assert seen[f"model file {path}"] == "the statement does not name it"
    assert seen["model file python_env.yaml"] == "the file is not there"
    with pytest.raises(RegistryError, match=r"was altered in the registry .*it is not loaded"):
        refuse_altered(registry.version, registry.model)


def test_a_statement_that_is_none_is_broken_and_no_traceback(registry: Registry) -> None:
    for text in ("{}", "[]", '{"subject": [], "predicate": {}}', "no JSON"):
        for place in (registry.statement, registry.model / STATEMENT_COPY):
            place.write_text(text)
        assert "statement of the run" in [finding.claim for finding in verify("1") if finding.holds is False]
        assert not promote("1", never).promoted
        with pytest.raises(RegistryError, match="it is not loaded"):
            refuse_altered(registry.version, registry.model)


def test_what_is_of_a_piece_is_still_not_proven_where_the_tag_is_not(registry: Registry) -> None:
    git(Path(), "tag", "-d", "lookout/v1")
    answer = CliRunner().invoke(app, ["verify", "1"])
    assert answer.exit_code == 2
    assert "unseen  statement is the one that was registered: the tag lookout/v1 is not in this repo" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "not proven: 2 claims could not be looked at here"
    assert CliRunner().invoke(app, ["verify", "1", "--unseen-ok"]).exit_code == 0
    refused = promote("1", never)
    assert [gate.name for gate in refused.gates if not gate.passed] == [SEEN]
    assert not refused.promoted
    assert not promote("1", never, force=True, reason="the gates only").promoted
    with pytest.raises(RegistryError, match="--unseen-ok overrules a gate: say why with --reason"):
        promote("1", never, unseen_ok=True)
    assert promote("1", never, unseen_ok=True, reason="the tag is on another machine").promoted


def test_no_rollback_to_what_was_recalled_or_altered(registry: Registry) -> None:
    client = connect()
    client.set_registered_model_alias("lookout", "previous", "1")
    assert rollback() == ("models:/lookout/1", "")
    taint("crowd", "a face was not cleared")
    with pytest.raises(RegistryError, match=r"does not become champion again: nothing recalled: .*a face was not"):
        rollback()
    assert rollback(force=True, reason="the other one is worse")[0] == "models:/lookout/1"
    append(SERVING.name)(registry)
    with pytest.raises(RegistryError, match=r"lineage verified: model file model\.py"):
        rollback(force=True, reason="no one may", unseen_ok=True)


def test_a_version_whose_code_had_another_home_holds(
    prepared: Path, empty_stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules move between commits: what is loaded is held against the version's own commit."""
    folder, older = make_checkout(prepared, tmp_path / "checkout"), Path("components/policy/older.py")
    git(folder, "mv", SERVING.as_posix(), older.as_posix())
    git(folder, "commit", "-qm", "before the move")
    shutil.copy(empty_stores / "mlflow.db", tmp_path)
    monkeypatch.setenv("LOOKOUT_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(verifying, "data_findings", lambda *_: [])
    train(folder, "one", 5)
    with monkeypatch.context() as patch:
        patch.setattr(packaging, "SERVING", older)
        register_model()
    assert [one for one in verify("1") if one.holds is not True] == []
    (Registry().model / "older.py").write_text("import os")
    broken = [one.claim for one in verify("1") if one.holds is False]
    assert "code that is loaded is the commit's" in broken
