"""From registration to rollback on versions made by hand: claims are hashed, and nothing unproven is promoted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import boto3
import jsonschema
import mlflow
import pytest
from typer.testing import CliRunner

from components.cli.main import app
from components.errors import RegistryError
from components.machine.home import lookout_home
from components.model_registry import registry
from components.model_registry import verify as verifying
from components.model_registry.cached import data_findings
from components.model_registry.diff import changes, diff
from components.model_registry.export import export
from components.model_registry.gc import collect
from components.model_registry.index import used_by
from components.model_registry.lineage import collect_lineage, image_digests
from components.model_registry.promote import promote, rollback
from components.model_registry.recall import taint, undo
from components.model_registry.register import register_model
from components.model_registry.registry import alias_version, artifact, connect, find_version, only_writer
from components.model_registry.starting_policy import fetch_policy
from components.model_registry.statement import from_statement, to_statement
from components.model_registry.trace import trace
from components.model_registry.verify import Finding, holds, verify
from components.policy.registered import registered_policy
from components.store.atomic import canonical_json
from tests.support.backends import BUCKET
from tests.support.toy_version import commit, git, make_checkout, train
from tests.support.workspace import read_params, write_params

pytestmark = pytest.mark.slow
DIGESTS = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}
RESOURCE = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "uri": {"type": "string"}, "digest": DIGESTS,
                   "content": {"type": "string"}, "annotations": {"type": "object"}},
    "additionalProperties": False,
}  # fmt: skip
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
# in-toto Statement v1 and SLSA provenance v1, as their specifications give the fields
STATEMENT: dict[str, Any] = {
    "type": "object",
    "required": ["_type", "subject", "predicateType", "predicate"],
    "additionalProperties": False,
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "subject": {"type": "array", "minItems": 1, "items": RESOURCE | {"required": ["name", "digest"]}},
        "predicateType": {"const": "https://slsa.dev/provenance/v1"},
        "predicate": {
            "type": "object",
            "required": ["buildDefinition", "runDetails"],
            "properties": {
                "buildDefinition": {
                    "type": "object",
                    "required": ["buildType", "externalParameters"],
                    "properties": {
                        "buildType": {"type": "string", "format": "uri"},
                        "externalParameters": {"type": "object"},
                        "internalParameters": {"type": "object"},
                        "resolvedDependencies": {"type": "array", "items": RESOURCE},
                    },
                    "additionalProperties": False,
                },
                "runDetails": {
                    "type": "object",
                    "required": ["builder"],
                    "properties": {
                        "builder": {"type": "object", "required": ["id"]},
                        "metadata": {"type": "object", "properties": {"startedOn": TIME, "finishedOn": TIME}},
                        "byproducts": {"type": "array", "items": RESOURCE},
                    },
                    "additionalProperties": False,
                },
            },
        },
    },
}


@pytest.fixture
def local(prepared: Path, empty_stores: Path, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose registry is empty and local: for tests of git, params and gates, which no server changes."""
    own_home.mkdir()
    shutil.copy(empty_stores / "mlflow.db", own_home)
    folder = make_checkout(prepared, tmp_path / "checkout")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(verifying, "data_findings", lambda *_: [])  # there is no DVC cache
    return folder


LOCAL, SERVERS = "sqlite and local files", "PostgreSQL and S3 behind MLflow's server"
each_commit = pytest.mark.parametrize("checkout", [LOCAL, SERVERS], indirect=True)
"""A test whose answer hangs on the store itself; test_backends.py, too, is run against servers with each commit."""


@pytest.fixture(params=[LOCAL, pytest.param(SERVERS, marks=pytest.mark.drill)])
def checkout(local: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """As `local`, against both kinds of registry, in the drill: for what is read from one and written to it."""
    if request.param == SERVERS:
        backend = request.getfixturevalue("servers")
        backend.empty()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", backend.tracking_uri)
    return local


class Stored:
    """A file of a version's model where the registry keeps it, read and changed behind the registry's back."""

    def __init__(self, uri: str, name: str) -> None:
        model = mlflow.models.get_model_info(uri).model_id
        self.path = f"{connect().get_logged_model(model).artifact_location}/{name}"

    def read(self) -> bytes:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=self.path)).read_bytes()

    def write(self, content: bytes) -> None:
        if self.path.startswith("file:"):
            Path(urlparse(self.path).path).write_bytes(content)
        else:
            store = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
            store.put_object(Bucket=BUCKET, Key=self.path.replace("mlflow-artifacts:", "mlflow"), Body=content)


def registered(folder: Path, weights: str, perfect: int, **rewards: float) -> str:
    train(folder, weights, perfect, **rewards)
    return register_model()["model_uri"]


def never(version: Any, lineage: Any) -> Path:
    raise AssertionError("the test images are the same: nothing is scored again")


def test_the_statement_is_provenance_and_says_the_same_twice(local: Path) -> None:
    train(local, "one", 5)
    lineage = collect_lineage()
    statement = to_statement(lineage)
    jsonschema.validate(statement, STATEMENT)
    assert canonical_json(statement) == canonical_json(to_statement(collect_lineage()))
    assert from_statement(statement) == lineage
    assert statement["predicate"]["runDetails"]["metadata"]["startedOn"] == "2026-01-01T00:00:00Z"
    assert "register" not in lineage["state"]["dvc.lock"]


def test_what_the_graph_no_longer_has_is_no_claim(local: Path) -> None:
    train(local, "one", 5)
    lock = (local / "dvc.lock").read_text()
    stale = "  ingest@earlier:\n    cmd: x\n    params: {params.yaml: {datasets.earlier: {root: there}}}\n"
    (local / "dvc.lock").write_text(lock.replace("stages:\n", f"stages:\n{stale}"))
    uri = register_model()["model_uri"]
    assert "ingest@earlier" not in trace(uri)["state"]["dvc.lock"]
    assert holds(verify(uri))


def test_a_registered_version_is_a_base_that_the_lineage_names(checkout: Path, tmp_path: Path) -> None:
    uri = registered(checkout, "one", 5)
    shutil.copy(checkout / "models/base/model.safetensors", tmp_path / "true")
    version = find_version(connect(), uri)
    policy = registered_policy(uri, *fetch_policy(uri))
    assert policy.frame == "resized"
    assert (policy.folder / "model.safetensors").read_bytes() == b"one"
    assert policy.weights_sha256 == version.tags["lookout.weights"]
    assert policy.lineage == version.tags["lookout.key"]
    assert policy.data == {
        "crowd": {"role": "both", "licence": "CC0-1.0", "dvc_md5": trace(uri)["data"]["crowd"]["dvc_md5"]}
    }
    origin = Path("models/base/lookout_base.json")
    base = json.loads(origin.read_text()) | {"kind": "registered", "name": uri, "revision": policy.weights_sha256}
    origin.write_text(
        json.dumps(
            base | {"lineage": policy.lineage, "data": {"older": {**policy.data["crowd"], "licence": "CC-BY-NC"}}}
        )
    )
    second = registered(checkout, "two", 8)
    assert trace(second)["base"]["name"] == uri
    assert [one["version"] for one in used_by(uri)] == [2]
    assert [one["version"] for one in used_by("older")] == [2]
    assert set(registered_policy(second, *fetch_policy(second)).data) == {"older", "crowd"}
    assert [gate.seen for gate in promote(second, never).gates if not gate.passed] == [
        "older: CC-BY-NC (non-commercial)"
    ]


def test_a_base_that_is_no_number_of_a_version_is_one_sentence(checkout: Path) -> None:
    uri = registered(checkout, "one", 5)
    with pytest.raises(RegistryError, match="want models:/NAME/NUMBER: an alias would move unseen"):
        fetch_policy("models:/lookout@challenger")
    with pytest.raises(RegistryError, match=r"models:/lookout/7 is not in the registry .*; `make demo` registers"):
        fetch_policy("models:/lookout/7")
    Stored(uri, "artifacts/grpo/model.safetensors").write(b"another")
    with pytest.raises(RegistryError, match=r"model\.safetensors of .* is not the file of its statement"):
        registered_policy(uri, *fetch_policy(uri))


@each_commit
def test_a_version_holds_until_one_bit_of_it_is_turned(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = registered(checkout, "one", 5)
    with monkeypatch.context() as patch:
        patch.setattr(verifying, "data_findings", data_findings)
        findings = verify(uri)
    assert holds(findings)
    # the hand-made checkout has no DVC cache: said, not assumed
    assert {one.claim.split(" in the cache")[0] for one in findings if one.holds is None} >= {"models/grpo"}
    stored = Stored(uri, "artifacts/grpo/model.safetensors")
    content = bytearray(stored.read())
    content[0] ^= 1
    stored.write(content)
    broken = [one.claim for one in verify(uri) if one.holds is False]
    assert broken == ["model file artifacts/grpo/model.safetensors", "weights are dvc.lock's"]
    answer = CliRunner().invoke(app, ["verify", uri])
    assert answer.exit_code == 1
    assert "BROKEN  model file artifacts/grpo/model.safetensors: sha256" in answer.stdout
    refused = CliRunner().invoke(app, ["promote", uri])
    assert refused.exit_code == 1
    assert "FAILED  lineage verified: model file artifacts/grpo/model.safetensors" in refused.stdout
    assert not promote(uri, never, force=True, reason="no one may").promoted
    assert alias_version(connect(), "lookout", "champion") is None


def test_a_file_that_nobody_named_and_another_statement_are_found(checkout: Path) -> None:
    uri = registered(checkout, "one", 5)
    Stored(uri, "artifacts/grpo/extra.bin").write(b"x")
    Stored(uri, "artifacts/statement.json").write(b"{}")
    broken = {one.claim: one.seen for one in verify(uri) if one.holds is False}
    assert broken["model file artifacts/grpo/extra.bin"] == "the statement does not name it"
    assert "statement inside the model" in broken


def test_the_changed_files_stand_on_a_tagged_commit_and_the_branch_is_untouched(local: Path) -> None:
    head = git(local, "rev-parse", "HEAD")
    registered(local, "one", 5)
    assert git(local, "rev-parse", "HEAD") == head
    assert git(local, "rev-parse", "lookout/v1^") == head
    assert git(local, "show", "lookout/v1:params.yaml") == (local / "params.yaml").read_text()
    assert git(local, "diff", "--cached", "--name-only") == ""
    git(local, "tag", "-f", "lookout/v1", "HEAD")
    (finding,) = [one for one in verify("1") if one.claim.startswith("its params.yaml")]
    assert finding == Finding(finding.claim, False, "dvc.lock differs at lookout/v1")
    with pytest.raises(
        RegistryError, match=r"the tag lookout/v1 holds another dvc\.lock than .*models:/lookout/1 names"
    ):
        collect()
    git(local, "tag", "-d", "lookout/v1")
    register_model()  # what a kill has left undone is done by the next call
    assert holds(verify("1"))


def test_code_that_is_not_committed_is_refused_or_told_loudly(local: Path) -> None:
    (local / "components/kept.txt").write_text("changed")
    (local / "conf/new.yaml").write_text("x: 1")
    with pytest.raises(
        RegistryError, match=r"components/kept\.txt, conf/new\.yaml differ from the commit .*git add -A"
    ):
        registered(local, "one", 5)
    params = read_params(local)
    params["register"]["allow_dirty"] = True
    write_params(local, params)
    uri = registered(local, "one", 5)
    assert "was not committed" in find_version(connect(), uri).tags["lookout.DIRTY"]
    outcome = promote(uri, never)
    assert not outcome.promoted
    assert [gate.name for gate in outcome.gates if not gate.passed] == ["lineage verified", "lineage seen"]


def test_registering_again_is_the_same_version_and_another_reward_is_another(checkout: Path) -> None:
    assert registered(checkout, "one", 5) == registered(checkout, "one", 5) == "models:/lookout/1"
    assert registered(checkout, "one", 5, looking=0.5) == "models:/lookout/2"
    found = diff("1", "2")
    assert found["rewards"] == {"weights.looking": [0.05, 0.5]}
    assert "data" not in found
    assert found["f1_gain"] == {"images": 8, "interval": [0.0, 0.0]}
    printed = CliRunner().invoke(app, ["diff", "1", "2"]).stdout
    assert "rewards.weights.looking: 0.05 -> 0.5" in printed


def test_used_by_knows_images_data_commits_and_bases_newest_first(checkout: Path) -> None:
    registered(checkout, "one", 5)
    registered(checkout, "two", 6)
    image = image_digests()[0]
    for what, place in ((image, "training image"), ("crowd", "dataset crowd"), (image[:8], "training image"),
                        (git(checkout, "rev-parse", "HEAD").strip(), "code"),
                        ("qwen2_5_vl from params", "base")):  # fmt: skip
        assert [(one["version"], one["as"]) for one in used_by(what)] == [(2, place), (1, place)]
    assert used_by("0" * 64) == []
    head = git(checkout, "rev-parse", "--short=7", "HEAD").strip()
    assert [(one["version"], one["as"]) for one in used_by(head)] == [(2, "code"), (1, "code")]
    none = CliRunner().invoke(app, ["used-by", "0" * 40])
    assert (none.exit_code, none.stdout) == (0, f"no registered version was made from {'0' * 40}\n")


def test_an_image_is_recalled_by_its_name_its_path_and_its_file(local: Path) -> None:
    import pyarrow.parquet as pq

    uri = registered(local, "one", 5)
    path = pq.read_table("data/prompts/sft.parquet", columns=["image_path"]).column(0)[0].as_py()
    elsewhere = local.parent / "a copy.png"
    shutil.copy(path, elsewhere)
    for what in (path, Path(path).name, str(Path(path).resolve()), str(elsewhere)):
        assert {one["version"] for one in used_by(what)} == {1}, what
    assert {one["as"] for one in used_by(Path(path).name)} == {f"training image {path}"}
    elsewhere.write_bytes(b"an image of nobody")
    assert used_by(str(elsewhere)) == []
    assert taint(Path(path).name, "a face was not cleared") == [uri]


def test_what_cannot_be_looked_up_is_an_error_and_never_none(checkout: Path) -> None:
    uri = registered(checkout, "one", 5)
    for what in (
        "nothing",
        "nowhere.jpg",
        "data/raw/nowhere.jpg",
        image_digests()[0][:6],
        "abcdef0",
        "qwen2_5_",
        "cro%",
    ):
        answer = CliRunner().invoke(app, ["used-by", what])
        assert answer.exit_code == 2, what
        assert "cannot be looked up" in answer.stderr
        assert CliRunner().invoke(app, ["taint", what, "--reason", "x"]).exit_code == 2
    registered(checkout, "two", 6)
    Stored(uri, "artifacts/statement.json").write(b"{}")  # the copy is not what a recall reads
    (lookout_home() / "lineage-index.sqlite").unlink(missing_ok=True)
    run = connect().get_run(find_version(connect(), uri).run_id).info.artifact_uri
    broken = Stored.__new__(Stored)
    broken.path = f"{run}/statement.json"
    broken.write(b"{}")
    answer = CliRunner().invoke(app, ["taint", "crowd", "--reason", "recalled"])
    assert answer.exit_code == 2
    assert "models:/lookout/2 is tainted" in answer.stdout
    assert "'crowd' cannot be looked up in 1 versions: models:/lookout/1" in answer.stderr


def test_a_recall_is_seen_wherever_the_version_is_shown_and_is_taken_back_with_a_reason(
    checkout: Path, tmp_path: Path
) -> None:
    uri = registered(checkout, "one", 5)
    promote(uri, never)
    said = CliRunner().invoke(app, ["taint", "crowd", "--reason", "a face was not cleared"]).stdout
    assert "the champion is among them (models:/lookout/1): lookout rollback" in said
    taint(image_digests()[0], "another reason")
    shown = "crowd: a face was not cleared; "
    card = export(uri, tmp_path / "exported") / "README.md"
    (checkout / "reports/registration.json").write_text(
        json.dumps({"name": "lookout", "version": 1, "model_uri": uri, "alias": "challenger"})
    )
    pages = {command[0]: CliRunner().invoke(app, command).stdout
             for command in (["trace", "1"], ["verify", "1"], ["diff", "1", "1"], ["summary"])}  # fmt: skip
    for name, page in (pages | {"card": card.read_text(), "page": find_version(connect(), uri).description}).items():
        assert shown in page, name
    for name, page in pages.items():
        assert "it is the champion: lookout rollback" in " ".join(page.replace("│", "").split()), name
    with pytest.raises(RegistryError, match="a recall wants a reason"):
        undo("crowd", " ")
    assert undo("crowd", "it was another dataset") == [uri]
    assert "crowd" not in CliRunner().invoke(app, ["trace", "1"]).stdout.split("code  commit")[0]
    assert CliRunner().invoke(app, ["taint", image_digests()[0], "--undo", "--reason", "cleared"]).exit_code == 0
    version = find_version(connect(), uri)
    assert "lookout.tainted" not in version.tags
    assert "Recalled" not in version.description
    records = [json.loads(path.read_text()) for path in artifact(version, "recalls").iterdir()]
    assert sorted(one["marked"] for one in records) == [False, False, True, True]
    with pytest.raises(RegistryError, match="no version is marked for 'crowd'"):
        undo("crowd", "again")


def test_a_version_is_found_by_alias_run_and_folder(checkout: Path, tmp_path: Path) -> None:
    uri = registered(checkout, "one", 5)
    run = trace(uri)["version"]["run_id"]
    exported = export(uri, tmp_path / "exported")
    for reference in ("1", "@challenger", run, "models/grpo", str(exported)):
        assert trace(reference)["version"]["version"] == 1
    assert {"README.md", "statement.json", "model.safetensors"} <= {path.name for path in exported.iterdir()}
    assert "CC0-1.0" in (exported / "README.md").read_text()
    with pytest.raises(RegistryError, match="there already and not empty"):
        export(uri, exported)
    with pytest.raises(RegistryError, match="no registered version has its 1 weight files"):
        trace("models/base")
    with pytest.raises(RegistryError, match="no registered version belongs to the run"):
        trace("0" * 32)
    page = CliRunner().invoke(app, ["trace", "1", "--html", str(tmp_path / "l.html")])
    assert page.exit_code == 0
    assert (tmp_path / "l.html").read_text().count("class='node'") == 8
    assert '"grpo" -> "version";' in CliRunner().invoke(app, ["trace", "1", "--dot"]).stdout


@each_commit
def test_the_better_one_becomes_champion_the_worse_and_the_equal_do_not_and_back(checkout: Path) -> None:
    client = connect()
    first = registered(checkout, "one", 4)
    assert promote(first, never).promoted
    better = registered(checkout, "two", 8)
    outcome = promote(better, never)
    assert outcome.promoted
    assert outcome.before == first
    assert {gate.name for gate in outcome.gates} >= {"gain in detection.f1", "gain is no chance", "no worse on crowd"}
    assert int(alias_version(client, "lookout", "previous").version) == 1
    equal, worse = registered(checkout, "three", 8), registered(checkout, "four", 2)
    failed = [gate.name for gate in promote(equal, never).gates if not gate.passed]
    assert failed == ["gain in detection.f1", "gain is no chance"]
    assert "no worse on crowd" in [gate.name for gate in promote(worse, never).gates if not gate.passed]
    assert int(alias_version(client, "lookout", "champion").version) == 2
    with pytest.raises(RegistryError, match="say why with --reason"):
        promote(worse, never, force=True)
    assert promote(worse, never, force=True, reason="to test the rollback").promoted
    assert rollback() == (better, worse)
    records = [json.loads(path.read_text()) for path in artifact(find_version(client, worse), "promotions").iterdir()]
    (record,) = [one for one in records if one["promoted"]]
    assert record["reason"] == "to test the rollback"
    assert record["before"] == better
    assert record["who"]


def test_promotion_by_a_protocols_number_reads_the_boxes_and_the_truth(checkout: Path) -> None:
    params = read_params(checkout)
    params["promote"] |= {"metric": "crowdhuman.MR", "bootstrap_samples": 100}
    write_params(checkout, params)
    first = registered(checkout, "one", 2)
    assert promote(first, never).promoted
    better = registered(checkout, "two", 7)
    gates = {gate.name: gate for gate in promote(better, never).gates}
    assert gates["gain in crowdhuman.MR (less is better)"].passed
    assert gates["gain is no chance"].passed
    write_params(checkout, params | {"promote": params["promote"] | {"metric": "coco.APP"}})
    with pytest.raises(RegistryError, match=r"is coco\.APP, but .* it has headline, detect\.headline, co"):
        promote(first, never)


def test_a_recalled_dataset_and_a_licence_keep_a_version_from_promotion(local: Path) -> None:
    params = read_params(local)
    params["datasets"]["crowd"]["licence"] = "CC BY-NC 4.0"
    write_params(local, params)
    uri = registered(local, "one", 5)
    failed = [gate for gate in promote(uri, never).gates if not gate.passed]
    assert [gate.seen for gate in failed] == ["crowd: CC BY-NC 4.0 (non-commercial)"]
    with pytest.raises(RegistryError, match="a recall wants a reason"):
        taint("crowd", " ")
    assert taint(image_digests()[0], "a face was not cleared") == [uri]
    failed = [gate for gate in promote(uri, never).gates if not gate.passed]
    assert "a face was not cleared" in failed[0].seen


def test_on_other_test_images_the_champion_is_scored_again(local: Path) -> None:
    import pyarrow.parquet as pq

    from tests.support.toy_version import write_lock

    promote(registered(local, "one", 8), never)
    path = local / "data/prompts/test.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 6), path)
    train(local, "two", 6)
    write_lock(local, read_params(local))
    asked: list[int] = []

    def rescore(version: Any, lineage: Any) -> Path:
        asked.append(int(version.version))
        return local / "reports/scores/grpo"

    outcome = promote(register_model()["model_uri"], rescore)
    assert asked == [1]
    assert [gate.seen for gate in outcome.gates if gate.name.startswith("gain in")] == ["1.0000 -> 1.0000: +0.0000"]


def test_two_writers_on_one_machine_do_not_meet(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = registered(local, "one", 5)
    monkeypatch.setattr(registry, "WRITER_WAIT_S", 0.1)
    with only_writer():
        for change in (lambda: promote(uri, never), rollback, register_model):
            with pytest.raises(RegistryError, match=r"the registry is being changed on this machine by process \d+"):
                change()
    monkeypatch.setattr(registry, "WRITER_WAIT_S", 60.0)
    with only_writer():  # a training that has ended while another registers is registered behind it
        waiting = subprocess.Popen(
            [sys.executable, "-m", "components.cli.main", "register"], stderr=subprocess.PIPE, text=True
        )
        assert waiting.stderr is not None
        said = next(line for line in waiting.stderr if line.startswith("waits for the registry"))
        assert f"which process {os.getpid()} " in said
    assert waiting.wait(120) == 0
    assert promote(uri, never).promoted


def test_a_registry_that_does_not_answer_is_one_sentence(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with pytest.raises(RegistryError, match=r"the registry at http://127\.0\.0\.1:9 does not answer") as caught:
        verify("1")
    assert "\n" not in str(caught.value)


def test_a_tag_of_another_lineage_is_said_and_this_version_has_one_of_its_own(
    local: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registered(local, "one", 5)
    there = git(local, "rev-parse", "lookout/v1")
    version = find_version(connect(), "1")
    connect().delete_registered_model("lookout")  # as in a clone: the tag is there, the registry numbers anew
    with caplog.at_level("WARNING", logger="lookout.register"):
        registered(local, "two", 5)
    own = f"lookout/v1-{find_version(connect(), '1').tags['lookout.key'][:8]}"
    assert "the git tag lookout/v1 is of another lineage" in caplog.text
    assert f"tag is {own}. To number on from there" in caplog.text
    assert git(local, "rev-parse", "lookout/v1") == there
    assert version.tags["lookout.key"] in git(local, "log", "-1", "--format=%B", "lookout/v1")
    assert holds(verify("1"))
    git(local, "tag", "-d", own)
    broken = {one.claim: one.seen for one in verify("1") if one.holds is False}
    assert "lookout/v1 is of the lineage" in broken["statement is the one that was registered"]


def test_a_lost_registry_that_is_made_again_renews_the_tag(local: Path) -> None:
    registered(local, "one", 5)
    connect().delete_registered_model("lookout")
    register_model()
    assert git(local, "tag").split() == ["lookout/v1"]
    assert holds(verify("1"))


def test_changes_names_leaves() -> None:
    assert changes({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1, "c": 3}, "e": 4}) == {
        "a.c": [2, 3], "d": [[1], None], "e": [None, 4]}  # fmt: skip


def test_what_is_committed_later_is_in_the_difference(local: Path) -> None:
    registered(local, "one", 5)
    (local / "components/kept.txt").write_text("better")
    commit(local, "mend the reward")
    registered(local, "two", 5)
    between = diff("1", "2")["code"]["between"]
    assert len(between) == 1
    assert "mend the reward" in between[0]
