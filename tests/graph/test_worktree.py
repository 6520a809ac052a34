"""What a worktree takes of a version's state: parameters, the lock and data's own files, inside it; nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.errors import LookoutError
from components.graph import worktree
from components.graph.worktree import add_worktree

DATA = "outs:\n- md5: d8e8fca2dc0f896fd7cb4cb0031ba249.dir\n  path: pets\n"


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a checkout with code and a link that leads out of it, which is the folder meanwhile."""
    folder = tmp_path / "checkout"
    (folder / "components").mkdir(parents=True)
    (folder / "components/code.py").write_text("true")
    (folder / "out").symlink_to(tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(worktree, "dvc", lambda *_, **__: "")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], check=True)
    return subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip()


def test_parameters_lock_and_data_are_taken(commit: str, tmp_path: Path) -> None:
    state = {"params.yaml": "x: 1\n", "dvc.lock": "stages: {}\n", "data/raw/pets.dvc": DATA}
    add_worktree(tmp_path / "into", commit, state)
    assert {path: (tmp_path / "into" / path).read_text() for path in state} == state


@pytest.mark.parametrize(
    "path",
    ["../x", "components/code.py", "/tmp/x.dvc", "../x.dvc", "data/../../x.dvc", ".git/x.dvc", ".dvc/x.dvc", "dvc.yaml",
     "a/params.yaml", "conf/config.yaml", "params.yaml\n"],
)  # fmt: skip
def test_another_file_is_refused_before_anything_is_made(commit: str, tmp_path: Path, path: str) -> None:
    with pytest.raises(LookoutError, match=r"only params\.yaml, dvc\.lock and \*\.dvc inside the checkout are taken"):
        add_worktree(tmp_path / "into", commit, {path: DATA})
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [("outs: [{path: ../../x, md5: a}]", "puts data at"), ("outs: [{path: /etc/x, md5: a}]", "puts data at"),
     (f"cmd: touch x\n{DATA}", "has a command"), (f"wdir: ../..\n{DATA}", "has a command or a folder"),
     ("- a", "no file of DVC's"), ("a: [", "no file of DVC's")],
)  # fmt: skip
def test_a_dvc_file_that_runs_or_writes_elsewhere_is_refused(commit: str, tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(LookoutError, match=why):
        add_worktree(tmp_path / "into", commit, {"data/pets.dvc": text})
    assert not (tmp_path / "into").exists()


def test_a_link_of_the_commit_leads_nowhere(commit: str, tmp_path: Path) -> None:
    with pytest.raises(LookoutError, match=r"out/new/x\.dvc leads out of"):
        add_worktree(tmp_path / "into", commit, {"out/new/x.dvc": DATA})
    assert not (tmp_path / "new").exists()
