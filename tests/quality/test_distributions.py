"""Histograms, drift between versions, and the page that shows a planted mess by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import DataError
from components.quality.distributions import population_stability
from components.quality.drift import drift, drift_since, previous_version
from tests.quality.test_validation import run
from tests.support.toys import drawn_crowd

SAME = {"edges": [0, 1], "counts": [50, 50]}


def test_the_stability_index_by_hand() -> None:
    assert population_stability(SAME, SAME) == 0
    # shares (.5, .5) -> (.8, .2): .3 ln 1.6 - .3 ln .4
    assert population_stability(SAME, {"edges": [0, 1], "counts": [80, 20]}) == pytest.approx(0.4159, abs=1e-4)
    assert population_stability(SAME, {"edges": [0, 1], "counts": [0, 9]}) > 1  # an empty bin is no infinity


def test_drift_names_what_has_moved(tmp_path: Path) -> None:
    before = run(tmp_path / "a", drawn_crowd(tmp_path / "a"))
    assert drift(before, before)["moved"] == []
    after = json.loads(json.dumps(before))
    after["counts"]["people"] = 1
    counts = after["distributions"]["people_per_image"]["counts"]
    after["distributions"]["people_per_image"]["counts"] = counts[::-1]
    found = drift(before, after)
    assert found["moved"] == ["people_per_image"]
    assert found["counts"]["people"] == {"before": before["counts"]["people"], "after": 1}


def test_the_page_shows_distributions_notes_and_refused_images(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    (root / "Images/orphan.jpg").write_bytes(b"x")
    lines = [json.loads(line) for line in (root / "annotation_train.odgt").read_text().splitlines()]
    lines[0]["gtboxes"][0]["fbox"] = [10, 10, 0, 20]
    (root / "annotation_train.odgt").write_text("".join(json.dumps(line) + "\n" for line in lines))
    content = run(tmp_path, root, max_quarantined_frac=0.1)
    assert sum(content["distributions"]["people_per_image"]["counts"]) == content["counts"]["images"] == 40
    assert sum(content["distributions"]["box_height_px"]["counts"]) == content["counts"]["people"]
    page = (tmp_path / "docs/index.html").read_text()
    assert "data:image/jpeg;base64," in page
    assert "box 0 has no area" in page
    assert "orphan: an image that no annotation of this entry names (it takes train" in page
    assert page.count("<figure>") == 6


def test_drift_reads_the_earlier_version_from_dvcs_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = run(tmp_path / "a", drawn_crowd(tmp_path / "a"))
    repository = tmp_path / "repository"
    file = repository / "data/validated/crowd/validation.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(content))
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (
        ["git", "init", "-q"],
        [sys.executable, "-m", "dvc", "init", "-q"],
        [sys.executable, "-m", "dvc", "add", "-q", "data/validated/crowd"],
        ["git", "add", "."],
        ["git", *identity, "commit", "-qm", "first"],
    ):
        subprocess.run(command, cwd=repository, check=True, env=os.environ | {"DVC_NO_ANALYTICS": "1"})
    content["distributions"]["people_per_image"]["counts"].reverse()
    file.unlink()  # DVC may have linked it to its cache
    file.write_text(json.dumps(content))
    monkeypatch.chdir(repository)
    out = Path("reports/drift/crowd.json")
    assert drift_since("crowd", "HEAD", Path("data/validated"), out)["moved"] == ["people_per_image"]
    assert json.loads(out.read_text())["revision"] == "HEAD"
    page = out.with_suffix(".html").read_text()
    assert page.count("<figure>") == 12
    assert page.index("moved") < page.index("steady")
    with pytest.raises(DataError, match="is not there: dvc repro validate@other"):
        drift_since("other", "HEAD", Path("data/validated"), out)
    with pytest.raises(DataError, match=r"nowhere holds no data/validated/crowd/validation\.json"):
        drift_since("crowd", "nowhere", Path("data/validated"), out)


def test_the_previous_version_is_the_newest_commit_with_another_digest(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q"], check=True)

    def commit(digest: str) -> str:
        outs = [{"path": "data/validated/crowd", "md5": digest}]
        Path("dvc.lock").write_text(json.dumps({"stages": {"validate@crowd": {"outs": outs}}}) + "\n")
        subprocess.run(["git", "add", "dvc.lock"], check=True)
        subprocess.run([*git, "commit", "-qm", digest], check=True)
        return subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip()

    assert previous_version("crowd", Path("data/validated")) is None
    Path("dvc.lock").write_text("stages:\n  validate@crowd:\n    outs:\n    - path: data/val")
    with pytest.raises(DataError, match="it is not whole"):  # though no commit has one
        previous_version("crowd", Path("data/validated"))
    commit("a.dir")
    middle = commit("b.dir")
    assert previous_version("crowd", Path("data/validated")) != middle
    commit("c.dir")
    assert previous_version("crowd", Path("data/validated")) == middle
    assert previous_version("other", Path("data/validated")) is None
    whole = Path("dvc.lock").read_text()
    Path("dvc.lock").write_text(f"<<<<<<< HEAD\n{whole}\n=======\n{whole}\n>>>>>>> other\n")
    with pytest.raises(DataError, match=r"dvc\.lock:1: git left its conflict markers"):
        previous_version("crowd", Path("data/validated"))
    Path("dvc.lock").write_text(json.dumps({"stages": {}}) + "\n")
    with pytest.raises(DataError, match=r"dvc\.lock has no data/validated/crowd: dvc repro validate@crowd"):
        previous_version("crowd", Path("data/validated"))
