"""`lookout add-dataset`: a download becomes part of the pipeline, or is told what it lacks and changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from components.add_dataset import add_dataset
from components.errors import ParamsError
from components.params import load_params
from components.stages import ingest, prompts, validate
from components.store.schemas import PROMPTS
from components.store.tables import read_rows
from tests.layouts import LAYOUTS, TASK_LAYOUTS
from tests.workspace import REPO, make_workspace, read_params

FORMATS = {"citypersons_mat": "citypersons", "citypersons_json": "citypersons", "lvis": "coco"}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that is a git and DVC repository, with a conf of its own."""
    folder = make_workspace(tmp_path_factory.mktemp("untouched") / "checkout")
    (folder / "conf").unlink()
    subprocess.run(["cp", "-r", str(REPO / "conf"), str(folder / "conf")], check=True)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    run(folder, "dvc", "init", "-q")
    run(folder, "dvc", "config", "hydra.enabled", "True")
    run(folder, "components.cli", "compose", "tiny")
    return folder


@pytest.fixture
def checkout(untouched: Path, tmp_path: Path) -> Path:
    return shutil.copytree(untouched, tmp_path / "checkout", symlinks=True)


def run(folder: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"}
    command_line = [sys.executable, "-m", *command]
    answer = subprocess.run(command_line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert not check or answer.returncode == 0, answer.stderr
    return answer


def add(folder: Path, kind: str, root: Path, *more: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    arguments = ["--format", kind, "--root", str(root), "--name", "new", "--licence", "CC0-1.0"]
    return run(folder, "components.cli", "add-dataset", *arguments, *more, check=check)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_download_goes_through_ingest_and_validate(
    checkout: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = checkout / "data/raw/new"
    LAYOUTS[layout](root)
    for split in ("train", "test") if layout == "uavdt" else ():
        names = {"train": ["M0101", "M0201"], "test": ["M0203"]}[split]
        (root / f"M_attr/{split}").mkdir(parents=True)
        for name in names:
            (root / f"M_attr/{split}/{name}_attr.txt").write_text("1\n")
    more = ["--split", "test=annotation_val.odgt"] if layout == "crowdhuman" else []
    said = add(checkout, FORMATS.get(layout, layout), root, *more).stdout
    assert "next: dvc repro validate@new" in said
    assert (checkout / "data/raw/new.dvc").exists()
    run(checkout, "components.cli", "compose", "tiny")  # what was added stays with any composition
    assert set(read_params(checkout)["datasets"]) == {"crowd", "new"}
    monkeypatch.chdir(checkout)
    for stage in (ingest, validate):  # here: a process of its own would import Great Expectations for each layout
        monkeypatch.setattr("sys.argv", [stage.__name__, "--dataset", "new"])
        stage.main()
    assert (checkout / "reports/validation/new/index.html").exists()


READ = {"task": "read", "template": "conf/prompts/read.txt"}
GROUND = {"task": "ground", "template": "conf/prompts/ground.txt", "classes": {"*": "object"}, "labels": ["object"],
          "leakage": "drop"}  # fmt: skip
COUNT = {"task": "count", "answer": "points", "template": "conf/prompts/count.txt", "leakage": "drop"}
TASKS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "refcoco": ("refcoco", "both", GROUND,
                {"train": ["refs(unc).p#train"], "test": [f"refs(unc).p#{one}" for one in ("val", "testA", "testB")]}),
    "refcocog": ("refcoco", "both", GROUND,
                 {"train": ["refs(umd).p#train"], "test": ["refs(umd).p#val", "refs(umd).p#test"]}),
    "refcoco_parquet": ("refcoco", "both", GROUND, {"train": ["refs.parquet#train"],
                        "test": [f"refs.parquet#{one}" for one in ("val", "testA", "testB")]}),
    "pixmo_count": ("pixmo_count", "both", COUNT, {split: f"data/{name}-00000-of-00001.parquet" for split, name in
                    (("train", "train"), ("val", "validation"), ("test", "test"))}),
    "fox": ("fox", "eval", READ, {"test": "en_page_ocr.json"}),
    "image_text": ("image_text", "both", READ,
                   {"train": "train.parquet", "val": "val.jsonl", "test": "test.jsonl"}),
}  # fmt: skip
"""drawn layout -> format, role, what the entry says of the task, its annotations"""


@pytest.mark.parametrize("layout", TASKS)
def test_the_entry_of_a_dataset_with_a_task_says_all_of_it(
    checkout: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, role, of_task, annotations = TASKS[layout]
    TASK_LAYOUTS[layout](checkout / "data/raw/new")
    monkeypatch.chdir(checkout)
    add_dataset("new", kind, "data/raw/new", role, "CC0-1.0", {}, track=False)
    entry = read_params(checkout)["datasets"]["new"]
    common = {"format": kind, "root": "data/raw/new", "role": role, "licence": "CC0-1.0"}
    assert entry == common | of_task | {"annotations": annotations}
    assert load_params().datasets["new"].task == of_task["task"]


@pytest.mark.slow
@pytest.mark.parametrize("layout", TASKS)
def test_a_dataset_with_a_task_goes_from_the_command_to_its_prompts(
    checkout: Path, prepared: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, role, of_task, annotations = TASKS[layout]
    TASK_LAYOUTS[layout](checkout / "data/raw/new")
    said = add(checkout, kind, checkout / "data/raw/new", "--role", role).stdout
    for split, files in annotations.items():
        assert f"{split}: {files if isinstance(files, str) else ', '.join(files)}\n" in said
    fetch = "lookout fetch-images --dataset new, then " if kind == "pixmo_count" else ""
    assert f"next: {fetch}dvc repro validate@new" in said
    for folder in ("data/interim", "data/validated", "models/base"):  # the drawn crowd's, beside which it stands
        shutil.copytree(prepared / folder, checkout / folder)
    monkeypatch.chdir(checkout)
    for stage, arguments in ((ingest, ["--dataset", "new"]), (validate, ["--dataset", "new"]), (prompts, [])):
        monkeypatch.setattr("sys.argv", [stage.__name__, *arguments])
        stage.main()
    for split in ("test",) if role == "eval" else ("grpo", "test"):
        rows = [row for row in read_rows(Path(f"data/prompts/{split}.parquet"), PROMPTS) if row["source"] == "new"]
        assert rows
        assert {row["task"] for row in rows} == {of_task["task"]}
        assert all(row["phrase"] is None or row["phrase"] in row["prompt"][0]["content"] for row in rows)


def test_several_files_of_a_split_are_all_taken(checkout: Path) -> None:
    TASK_LAYOUTS["refcoco"](checkout / "data/raw/new")
    chosen = [f"--split=test=refs(unc).p#{one}" for one in ("testA", "testB")]
    add(checkout, "refcoco", checkout / "data/raw/new", "--no-track", *chosen)
    assert read_params(checkout)["datasets"]["new"]["annotations"]["test"] == ["refs(unc).p#testA", "refs(unc).p#testB"]


def test_a_wrong_root_is_told_what_was_looked_for_and_nothing_changes(checkout: Path) -> None:
    wrong = checkout / "download"
    (wrong / "pictures").mkdir(parents=True)
    before = (checkout / "params.yaml").read_bytes(), (checkout / "conf/config.yaml").read_bytes()
    said = add(checkout, "citypersons", wrong, check=False)
    assert said.returncode == 1
    assert "looked for annotations/anno_train.mat or anno_train.mat or gtBboxCityPersons/train" in said.stderr
    assert "there lies pictures" in said.stderr
    for kind, root, words in (
        ("kitti", wrong, "unknown format 'kitti'"),
        ("coco", checkout / "nowhere", "is not there; give the folder"),
    ):
        said = add(checkout, kind, root, check=False)
        assert said.returncode == 1
        assert words in said.stderr
    assert ((checkout / "params.yaml").read_bytes(), (checkout / "conf/config.yaml").read_bytes()) == before
    assert not (checkout / "conf/datasets").exists()


def test_a_folder_elsewhere_is_imported_with_its_digest(checkout: Path, tmp_path: Path) -> None:
    LAYOUTS["wider_pedestrian"](tmp_path / "elsewhere")
    add(checkout, "wider_pedestrian", tmp_path / "elsewhere", "--role", "eval")
    entry = read_params(checkout)["datasets"]["new"]
    assert entry["root"] == "data/raw/new"
    assert entry["annotations"] == {"test": "val_annotations.txt"}
    assert entry["role"] == "eval"
    recorded = (checkout / "data/raw/new.dvc").read_text()
    assert "md5" in recorded
    assert str(tmp_path / "elsewhere") in recorded


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """A loopback web server's URL of the folder tmp_path/served."""
    (tmp_path / "served").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_url_is_imported_and_taken_away_where_it_is_no_dataset(checkout: Path, tmp_path: Path, served: str) -> None:
    (tmp_path / "served/set.zip").write_bytes(b"PK")
    said = add(checkout, "coco", f"{served}/set.zip", check=False)
    assert said.returncode == 1
    assert "an archive is no folder: unpack it first" in said.stderr
    assert list((checkout / "data/raw").glob("*new*")) == []
    said = add(checkout, "coco", f"{served}/nowhere", check=False)
    assert "dvc import-url" in said.stderr
    assert list((checkout / "data/raw").glob("*new*")) == []


def test_the_folder_behind_a_url_becomes_the_root(checkout: Path, tmp_path: Path, monkeypatch) -> None:
    fetched: list[tuple[str, ...]] = []

    def fetch(*command: str) -> None:  # DVC lists folders of s3, gs and ssh, not of the web: no server for it here
        fetched.append(command)
        LAYOUTS["wider_pedestrian"](Path(command[2]))

    monkeypatch.chdir(checkout)
    monkeypatch.setattr("components.add_dataset._dvc", fetch)
    path = add_dataset("new", "wider_pedestrian", "s3://bucket/wider", "eval", "CC0-1.0", {}, track=True)
    assert fetched == [("import-url", "s3://bucket/wider", "data/raw/new")]
    assert "root: data/raw/new" in path.read_text()


def conf_of(folder: Path) -> dict[str, str]:
    files = [*(folder / "conf").rglob("*.yaml"), folder / "params.yaml"]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.mark.parametrize(
    ("name", "licence", "sentence"),
    [(name, "CC0", "is no name") for name in ("on", "no", "null", "1e5", "a;b", "../x", "$(x)")]
    + [("new", "${x}", "which Hydra would replace")],
)
def test_what_yaml_hydra_or_a_shell_would_misread_is_refused_and_nothing_changes(
    name: str, licence: str, sentence: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LAYOUTS["crowdhuman"](checkout / "data/raw/new")
    before = conf_of(checkout)
    monkeypatch.chdir(checkout)
    splits = {"train": "annotation_train.odgt", "test": "annotation_val.odgt"}
    with pytest.raises(ParamsError, match=sentence):
        add_dataset(name, "crowdhuman", "data/raw/new", "both", licence, splits, track=False)
    assert conf_of(checkout) == before


def test_a_root_that_hydra_would_fill_in_is_refused_before_it_is_written(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LAYOUTS["crowdhuman"](checkout / "data/raw/new")
    (checkout / "data/raw/new").rename(checkout / "data/raw/${x}")
    before = conf_of(checkout)
    monkeypatch.chdir(checkout)
    with pytest.raises(ParamsError, match=r"the character '\$' may not stand in a path"):
        add_dataset("new", "crowdhuman", "data/raw/${x}", "train", "CC0", {}, track=False)
    assert conf_of(checkout) == before


def test_a_word_that_hydra_would_read_as_a_switch_is_quoted(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LAYOUTS["crowdhuman"](checkout / "data/raw/new")
    monkeypatch.chdir(checkout)
    add_dataset("new", "crowdhuman", "data/raw/new", "train", "no", {}, track=False)
    assert load_params().datasets["new"].licence == "no"


def test_an_entry_that_does_not_compose_leaves_conf_as_it_was(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_profile: str) -> None:
        raise ParamsError("it does not fit")

    LAYOUTS["crowdhuman"](checkout / "data/raw/new")
    before = conf_of(checkout)
    monkeypatch.chdir(checkout)
    monkeypatch.setattr("components.add_dataset.compose", fail)
    with pytest.raises(ParamsError, match="it does not fit"):
        add_dataset("new", "crowdhuman", "data/raw/new", "train", "CC0", {}, track=False)
    assert conf_of(checkout) == before
