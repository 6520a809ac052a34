"""A local checkpoint as base: DVC sees its files change, and a version is made again from the same files only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import RegistryError
from components.model_registry.reproduce import bring_local_base
from components.policy.families import ORIGIN
from tests.support.families import published_folder
from tests.support.workspace import make_workspace, read_params, write_params


def dvc(folder: Path, *arguments: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(folder), "LOOKOUT_HOME": str(folder / "home")}
    answer = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout + answer.stderr


@pytest.mark.slow
def test_dvc_repro_sees_that_a_file_of_a_local_base_changed(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "checkout")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    dvc(folder, "init", "-q")
    source = published_folder(tmp_path / "published", "qwen2_vl")
    params = read_params(folder)
    pretrained = {"path": str(source), "revision": None, "min_pixels": 3136, "max_pixels": 6272}
    params["base"] = {"build": None, "pretrained": pretrained, "local": str(source)}
    write_params(folder, params)
    dvc(folder, "repro", "base")
    assert "didn't change" in dvc(folder, "repro", "base")
    template = source / "chat_template.jinja"
    template.write_text(template.read_text() + "{# another #}")
    assert str(source) in dvc(folder, "status", "base")
    assert "Running stage 'base'" in dvc(folder, "repro", "base")
    assert (folder / "models/base/chat_template.jinja").read_text().endswith("{# another #}")
    assert json.loads((folder / "models/base" / ORIGIN).read_text())["local"] is True


def test_a_version_is_not_made_again_from_other_files_than_its_base_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source, into = Path("bases/mine"), tmp_path / "worktree"
    source.mkdir(parents=True)
    into.mkdir()
    (source / "config.json").write_text("{}")
    digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of "{}"
    base = {"kind": "pretrained", "name": str(source), "local": True, "source_sha256": {"config.json": digest}}
    bring_local_base({"kind": "built", "name": "qwen2_5_vl from params"}, into)
    assert list(into.iterdir()) == []
    bring_local_base(base, into)
    assert (into / source / "config.json").read_text() == "{}"
    (source / "config.json").write_text("{ }")
    (source / "tokenizer.json").write_text("{}")
    with pytest.raises(RegistryError, match=r"bases/mine is no longer what .* config\.json, tokenizer\.json differ"):
        bring_local_base(base, into)
    with pytest.raises(RegistryError, match="the local folder bases/gone, which is not there"):
        bring_local_base(base | {"name": "bases/gone"}, into)
