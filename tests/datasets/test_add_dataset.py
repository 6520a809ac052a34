"""`lookout add-dataset`: a download becomes part of the pipeline, or is told what it lacks and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from components.datasets.add import Wish, add_dataset, remove_dataset
from components.errors import ParamsError, SourceError
from components.params.whole import load_params
from components.sources.reading import read_split
from components.sources.source import RawScene
from components.stages import ingest, prompts, validate
from components.store.schemas.prompts import PROMPTS
from components.store.tables import read_rows
from tests.support.layouts import LAYOUTS, TASK_LAYOUTS, hash_of, picture
from tests.support.workspace import REPO, make_workspace, read_params, write_params

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
    run(folder, "components.cli.main", "compose", "tiny")
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


def add(folder: Path, kind: str, root: Path | str, *more: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    arguments = ["--format", kind, "--root", str(root), "--name", "new", "--licence", "CC0-1.0"]
    return run(folder, "components.cli.main", "add-dataset", *arguments, *more, check=check)


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
    said = add(checkout, FORMATS.get(layout, layout), root).stdout
    assert "next: dvc repro validate@new" in said
    assert (checkout / "data/raw/new.dvc").exists()
    run(checkout, "components.cli.main", "compose", "tiny")  # what was added stays with any composition
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
    add_dataset("new", "data/raw/new", Wish(kind, role, "CC0-1.0"), track=False)
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
    params = read_params(checkout)
    params["base"]["build"]["max_number"] = 80  # the layouts' images are larger than the drawn crowd's
    write_params(checkout, params)
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
    assert entry["annotations"] == {"val": "val_annotations.txt", "test": "test_annotations.txt"}
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
    monkeypatch.setattr("components.datasets.add._dvc", fetch)
    path, _ = add_dataset("new", "s3://bucket/wider", Wish("wider_pedestrian", "eval", "CC0-1.0"))
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
        add_dataset(name, "data/raw/new", Wish("crowdhuman", "both", licence, splits), track=False)
    assert conf_of(checkout) == before


def test_a_root_that_hydra_would_fill_in_is_refused_before_it_is_written(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LAYOUTS["crowdhuman"](checkout / "data/raw/new")
    (checkout / "data/raw/new").rename(checkout / "data/raw/${x}")
    before = conf_of(checkout)
    monkeypatch.chdir(checkout)
    with pytest.raises(ParamsError, match=r"the character '\$' may not stand in a path"):
        add_dataset("new", "data/raw/${x}", Wish("crowdhuman", "train", "CC0"), track=False)
    assert conf_of(checkout) == before


def test_a_word_that_hydra_would_read_as_a_switch_is_quoted(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LAYOUTS["crowdhuman"](checkout / "data/raw/new")
    monkeypatch.chdir(checkout)
    add_dataset("new", "data/raw/new", Wish("crowdhuman", "train", "no"), track=False)
    assert load_params().datasets["new"].licence == "no"


def test_an_entry_that_does_not_compose_leaves_conf_as_it_was(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_profile: str) -> None:
        raise ParamsError("it does not fit")

    LAYOUTS["crowdhuman"](checkout / "data/raw/new")
    before = conf_of(checkout)
    monkeypatch.chdir(checkout)
    monkeypatch.setattr("components.datasets.add.compose", fail)
    with pytest.raises(ParamsError, match="it does not fit"):
        add_dataset("new", "data/raw/new", Wish("crowdhuman", "train", "CC0"), track=False)
    assert conf_of(checkout) == before


def coco_file(path: Path, *names: str, boxes: int = 3) -> None:
    """An instances file whose boxes are of the first category, and its images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.stem.rpartition("_")[2]
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 64, "height": 48} for i in range(boxes)]
    for image in images:
        picture(path.parents[1] / folder / image["file_name"], hash_of(f"{folder}{image['id']}"))
    rows = [{"id": i, "image_id": i, "category_id": 0, "bbox": [5, 5, 20, 30]} for i in range(boxes)]
    categories = [{"id": i, "name": name} for i, name in enumerate(names)]
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))


@pytest.fixture
def here(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(checkout)
    return checkout


def both(root: Path, *names: str) -> None:
    for split in ("train", "val"):
        coco_file(root / f"annotations/instances_{split}.json", *names)


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("pedestrian",), {"pedestrian": "person", "*": "other"}),
        (("Person", "car"), {"person": "person", "*": "other"}),
        (("PEOPLE ", "Pedestrian", "bus"), {"people": "person", "pedestrian": "person", "*": "other"}),
    ],
)
def test_a_category_that_can_only_be_a_person_is_taken_as_one_and_said(
    here: Path, names: tuple[str, ...], classes: dict[str, str]
) -> None:
    both(Path("data/raw/new"), *names)
    _, said = add_dataset("new", "data/raw/new", Wish("coco", "both", "CC0-1.0"), track=False)
    assert read_params(here)["datasets"]["new"]["classes"] == classes
    assert any(line.endswith("-> person") and repr(names[0]) in line for line in said)


def test_categories_that_nobody_asks_for_are_listed_with_the_map_to_give(here: Path) -> None:
    both(Path("data/raw/new"), "行人", "voiture")
    wish = Wish("coco", "both", "CC0-1.0")
    with pytest.raises(
        SourceError, match=r"the labels are person, the dataset's words are '行人', 'voiture'; say"
    ) as no:
        add_dataset("new", "data/raw/new", wish, track=False)
    assert "--class '行人=person' --class '*=other'" in str(no.value)
    assert not Path("conf/datasets").exists()
    with pytest.raises(SourceError, match="no category is called people; there are '行人'"):
        add_dataset("new", "data/raw/new", replace(wish, classes={"people": "person"}), track=False)
    add_dataset("new", "data/raw/new", replace(wish, classes={"行人": "person", "*": "other"}), track=False)
    assert load_params().datasets["new"].classes == {"行人": "person", "*": "other"}


@pytest.mark.parametrize("layout", ["crowdhuman", "citypersons_json", "wider_pedestrian", "uavdt"])
def test_the_words_of_every_format_are_looked_at(here: Path, layout: str) -> None:
    files = LAYOUTS[layout](here / "data/raw/new").annotations
    wish = Wish(FORMATS.get(layout, layout), "both", "CC0-1.0", files, {"nobody": "person", "*": "other"})
    with pytest.raises(SourceError, match=r"nobody would be asked for: .* words are '\w+"):
        add_dataset("new", "data/raw/new", wish, track=False)


@pytest.mark.parametrize("layout", ["crowdhuman", "citypersons_mat", "wider_pedestrian", "coco"])
def test_train_val_and_test_are_taken_where_they_lie_and_val_is_tested_on_where_there_is_no_test(
    here: Path, layout: str
) -> None:
    files = dict(LAYOUTS[layout](here / "data/raw/new").annotations)
    wish = Wish(FORMATS.get(layout, layout), "both", "CC0-1.0")
    _, said = add_dataset("new", "data/raw/new", wish, track=False)
    assert load_params().datasets["new"].annotations == files
    assert not [line for line in said if line.startswith("left out")]
    (here / "data/raw/new" / str(files["test"])).unlink()
    add_dataset("new", "data/raw/new", wish, track=False, force=True)
    assert load_params().datasets["new"].annotations == {"train": files["train"], "test": files["val"]}
    _, said = add_dataset("new", "data/raw/new", replace(wish, role="train"), track=False, force=True)
    assert f"left out: {files['val']} (val)" in said


def test_a_test_file_without_annotations_is_left_out_and_said(here: Path) -> None:
    both(Path("data/raw/new"), "person")
    coco_file(Path("data/raw/new/annotations/instances_test.json"), "person", boxes=0)
    _, said = add_dataset("new", "data/raw/new", Wish("coco", "both", "CC0-1.0"), track=False)
    assert load_params().datasets["new"].annotations["test"] == "annotations/instances_val.json"
    assert "left out: annotations/instances_test.json (test, which holds no annotations)" in said


def test_what_was_edited_by_hand_is_not_written_over(here: Path) -> None:
    both(Path("data/raw/new"), "person", "rider")
    wish = Wish("coco", "both", "CC0-1.0")
    path, _ = add_dataset("new", "data/raw/new", wish, track=False)
    edited = path.read_text().replace("  licence", "  # ours\n  licence")
    path.write_text(edited)
    add_dataset("new", "data/raw/new", wish, track=False)  # the same again changes nothing
    assert path.read_text() == edited
    path.write_text(edited.replace("person: person", "person: person\n    rider: person"))
    with pytest.raises(ParamsError, match=r"would change: classes\.rider: person -> nothing; --force replaces it"):
        add_dataset("new", "data/raw/new", wish, track=False)
    assert "rider: person" in path.read_text()
    add_dataset("new", "data/raw/new", wish, track=False, force=True)
    assert "rider" not in path.read_text()


def test_a_dataset_is_taken_away_and_everything_is_as_before(here: Path) -> None:
    before = Path("params.yaml").read_bytes()
    both(Path("data/raw/new"), "person")
    with pytest.raises(ParamsError, match="no dataset 'new' was added; added are none"):
        remove_dataset("new")
    add_dataset("new", "data/raw/new", Wish("coco", "both", "CC0-1.0"), track=False)
    assert remove_dataset("new") == "data/raw/new"
    assert Path("params.yaml").read_bytes() == before
    assert "datasets" not in Path("conf/config.yaml").read_text()
    assert Path("data/raw/new").is_dir()


def test_the_name_of_a_profiles_own_dataset_is_refused(here: Path) -> None:
    both(Path("data/raw/new"), "person")
    for name in ("crowd", "crowdhuman"):  # of the profile in force, and of another
        with pytest.raises(ParamsError, match=rf"\.yaml has a dataset '{name}' of its own, and the two would be mixed"):
            add_dataset(name, "data/raw/new", Wish("coco", "both", "CC0-1.0"), track=False)
    assert not Path("conf/datasets").exists()


def test_a_root_whose_digest_git_ignores_is_told_where_to_lie(here: Path) -> None:
    both(Path("data/raw/set/new"), "person")
    Path(".gitignore").write_text("/data/raw/*/\n")
    with pytest.raises(
        SourceError, match=r"git ignores data/raw/set/new\.dvc, .* move the folder to data/raw/new, dire"
    ):
        add_dataset("new", "data/raw/set/new", Wish("coco", "both", "CC0-1.0"))
    assert not Path("conf/datasets").exists()


def test_an_annotation_file_may_have_a_hash_in_its_name(here: Path) -> None:
    coco_file(Path("data/raw/new/annotations/batch#1_train.json"), "person")
    wish = Wish("coco", "train", "CC0-1.0", {"train": "annotations/batch#1_train.json"})
    add_dataset("new", "data/raw/new", wish, track=False)
    rows = read_split(Path("data/raw/new"), load_params().datasets["new"], "train")
    assert [row.image_path for row in rows if isinstance(row, RawScene)] == [f"train/{i}.jpg" for i in range(3)]
