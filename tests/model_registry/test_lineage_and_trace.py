"""References, digests and the state of the code."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import DataError, RegistryError
from components.machine.code_state import git_state, uncommitted
from components.model_registry.lineage import LIBRARIES, check_weights, installed, read_lock
from components.model_registry.registry import parse_reference
from components.model_registry.state_commit import refuse_dirty, tag_state
from components.model_registry.trace import trace
from components.params.trainer import LaunchParams
from components.policy.launch import run_training
from components.store.digest import dvc_folder_digest


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("models:/lookout/3", ("lookout", "3", None)),
        ("models:/other@champion", ("other", None, "champion")),
        ("@challenger", ("", None, "challenger")),
        ("7", ("", "7", None)),
    ],
)
def test_references_are_read(text: str, wanted: tuple) -> None:
    assert parse_reference(text) == wanted


@pytest.mark.parametrize("text", ["", "lookout", "models:/", "models:/a/b", "a/b/c", "models:/lookout/-1"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(RegistryError, match="is no reference"):
        parse_reference(text)


def test_a_version_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(RegistryError, match="models:/lookout/9 is not in the registry") as caught:
        trace("models:/lookout/9")
    assert "\n" not in str(caught.value)


def test_the_folder_digest_is_dvcs_own(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.txt").write_text("b")
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "c.txt").write_text("c")
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "add", "-q", "model"]):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert f"md5: {dvc_folder_digest(folder)}" in (tmp_path / "model.dvc").read_text()


def test_weights_that_are_not_those_of_the_lock_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "models/grpo"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"weights")
    digest = dvc_folder_digest(model)
    lock = {"stages": {"grpo": {"outs": [{"path": "models/grpo", "md5": digest}]}}}
    check_weights(lock)
    (model / "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(RegistryError, match=f"dvc.lock names {digest}; was a file changed"):
        check_weights(lock)


def test_without_a_lock_nothing_is_registered(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"dvc\.lock is not there"):
        read_lock()
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": {}}) + "\n")
    with pytest.raises(RegistryError, match="no stage grpo"):
        read_lock()


def test_params_and_lock_do_not_make_a_checkout_dirty_and_code_does(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert git_state()["commit"] is None
    commands = (["init", "-q"], ["config", "user.email", "a@b.c"], ["config", "user.name", "a"])
    for command in commands:
        subprocess.run(["git", *command], check=True)
    (tmp_path / "code.py").write_text("1")
    subprocess.run(["git", "add", "."], check=True)
    subprocess.run(["git", "commit", "-qm", "x"], check=True)
    (tmp_path / "params.yaml").write_text("x: 1")
    (tmp_path / "dvc.lock").write_text("")
    assert git_state()["clean"] is True
    (tmp_path / "code.py").write_text("2")
    first = git_state()
    assert (first["clean"], first["changed"]) == (False, ["code.py"])
    (tmp_path / "code.py").write_text("3")
    assert git_state()["diff_sha256"] != first["diff_sha256"]
    (tmp_path / "code.py").write_text("1")
    (tmp_path / "notes.txt").write_text("an untracked file that is no code")
    assert git_state()["clean"] is True
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/new.yaml").write_text("")
    assert git_state()["changed"] == ["conf/new.yaml"]
    with pytest.raises(RegistryError, match=r"conf/new\.yaml differ from the commit .*: run `git add -A"):
        refuse_dirty(git_state())
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/pets.dvc").write_text("outs:\n")  # what `lookout add-dataset` asks to add
    (tmp_path / "data/raw/.gitignore").write_text("/pets\n")
    sentence = uncommitted(git_state())
    command = sentence.partition("`")[2].rstrip("`")
    assert command == "git add -A conf '*.dvc' '*.gitignore' && git commit -a"
    subprocess.run(f"{command} -qm y", shell=True, check=True)
    assert uncommitted(git_state()) == ""
    added = subprocess.check_output(["git", "ls-files", "conf", "data"], text=True).split()
    assert added == ["conf/new.yaml", "data/raw/.gitignore", "data/raw/pets.dvc"]


def test_a_training_says_at_its_start_which_code_is_not_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--allow-empty"], check=True
    )
    launch = LaunchParams(processes=1, deepspeed="none", threads=1, nodes=1, rendezvous=None)
    with caplog.at_level(logging.WARNING):
        run_training("sft", [], launch, lambda: logging.getLogger("lookout").warning("trains"))
        (tmp_path / "conf").mkdir()
        (tmp_path / "conf/new.yaml").write_text("")
        run_training("sft", [], launch, lambda: logging.getLogger("lookout").warning("trains"))
        monkeypatch.setenv("LOCAL_RANK", "1")  # one of several processes: the launcher has said it
        monkeypatch.setenv("RANK", "0")
        run_training("sft", [], launch, lambda: logging.getLogger("lookout").warning("trains"))
    said = [record.getMessage() for record in caplog.records]
    assert [line for line in said if line == "trains"] == ["trains"] * 3
    (warned,) = [line for line in said if line != "trains"]
    assert warned.startswith("conf/new.yaml differ from the commit ")
    assert said.index(warned) == 1  # before the second training


def test_a_version_made_in_a_temporary_experiment_is_tagged_in_the_main_checkout(tmp_path: Path, monkeypatch) -> None:
    main = tmp_path / "main"
    temporary = main / ".dvc/tmp/exps/tmpabc"
    main.mkdir()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    (main / "code.py").write_text("1")
    for command in (["init", "-q"], ["add", "code.py"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], cwd=main, check=True)
    temporary.parent.mkdir(parents=True)
    subprocess.run([*git, "clone", "-q", str(main), str(temporary)], check=True)
    monkeypatch.chdir(temporary)
    tag_state("lookout/v7", {"params.yaml": "x: 1\n"}, "version 7")
    shown = subprocess.check_output(["git", "show", "lookout/v7:params.yaml"], cwd=main, text=True)
    assert shown == "x: 1\n"


def test_libraries_of_the_extra_ocr_are_named_where_they_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nltk", None)
    assert set(installed()) == set(LIBRARIES)
    monkeypatch.undo()
    for name in ("nltk", "jieba"):
        pytest.importorskip(name)
    assert set(installed()) == {*LIBRARIES, "nltk", "jieba"}
