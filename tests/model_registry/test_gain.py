"""promote.metric decides: each number's gate passes for the better of two versions and fails for the other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.errors import DataError, ParamsError, RegistryError
from components.model_registry import gain, rescore
from components.model_registry.gain import gain_gates, refuse_unknown
from components.params.promote import PromoteParams
from components.params.reading import load_section
from components.scoring import score
from components.scoring.measured import Measured, measured, names_in, value_in
from components.store.digest import file_md5
from components.store.schemas.scores import PER_IMAGE
from components.store.tables import read_table, write_table
from tests.support.scored import SCORE, gold_lines, write_lines
from tests.support.workspace import REPO

PROMPTS = "data/prompts/test.parquet"
NOBODY = "<think>t</think><look>[]</look><answer>[]</answer>"
METRICS = ("headline", "detect.headline", "detection.f1", "detection.recall", "detection.mean_f1",
           "detection.count_mae", "coco.AP", "coco.AP50", "coco_500.AR500", "crowdhuman.AP", "crowdhuman.MR",
           "crowdhuman.JI", "citypersons.All")  # fmt: skip


def params(metric: str, **others: Any) -> PromoteParams:
    whole = load_section(PromoteParams, REPO / "params.yaml").model_dump()
    return PromoteParams.model_validate(whole | {"metric": metric, "bootstrap_samples": 200} | others)


@pytest.fixture(scope="module")
def scored(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, dict[str, Any]]]:
    """The scores of two models, which answer as many of the eight images perfectly, the others with nobody."""
    found: dict[int, tuple[Path, dict[str, Any]]] = {}
    for perfect in (2, 7, 8):
        lines = gold_lines(prepared / PROMPTS)
        for line in lines[perfect:]:
            line["text"] = NOBODY
        folder = tmp_path_factory.mktemp(f"scores-{perfect}")
        answers = write_lines(folder / "answers", lines)
        found[perfect] = folder, score.run("grpo", prepared / PROMPTS, answers, folder, SCORE)
    return found


@pytest.fixture
def checkout(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the test images lie; a version is its folder of scores."""
    monkeypatch.chdir(prepared)
    monkeypatch.setattr(gain, "statement_of", lambda version: version)
    monkeypatch.setattr(gain, "from_statement", lambda version: {"prompts": {PROMPTS: version.test}})
    monkeypatch.setattr(gain, "artifact", lambda version, _place: version.scores)
    return prepared


def version(scores: Path, test: str) -> Any:
    return SimpleNamespace(scores=scores, test=test, name="people", version="3")


def never(*_arguments: Any) -> Path:
    raise AssertionError("the test images are the same")


@pytest.mark.parametrize("metric", METRICS)
def test_the_better_version_passes_by_each_number_and_the_worse_fails(
    checkout: Path, scored: dict[int, tuple[Path, dict[str, Any]]], metric: str
) -> None:
    test = file_md5(checkout / PROMPTS)
    worse, better = (version(scored[perfect][0], test) for perfect in (2, 7))
    gates = gain_gates(worse, better, params(metric), never)
    assert [(gate.name.split(" (")[0], gate.passed) for gate in gates] == [
        (f"gain in {metric}", True), ("gain is no chance", True), ("no worse on crowd", True)
    ]  # fmt: skip
    ends = [value_in(scored[perfect][1], metric) for perfect in (2, 7)]
    assert gates[0].seen.startswith(f"{ends[0]:.4f} -> {ends[1]:.4f}: +")  # the numbers of metrics.json
    assert not any(gate.passed for gate in gain_gates(better, worse, params(metric), never))


def test_a_gain_in_one_image_may_be_chance_and_a_tie_is_no_gain(
    checkout: Path, scored: dict[int, tuple[Path, dict[str, Any]]]
) -> None:
    test = file_md5(checkout / PROMPTS)
    most, all_of_them = (version(scored[perfect][0], test) for perfect in (7, 8))
    for metric in ("detection.f1", "coco.AP", "crowdhuman.MR"):
        gates = gain_gates(most, all_of_them, params(metric), never)
        assert [gate.passed for gate in gates] == [True, False, True]  # a third of the drawings leave that image out
        gates = gain_gates(most, most, params(metric), never)
        assert [gate.passed for gate in gates] == [False, False, True]


def test_where_less_is_better_it_is_said_and_the_loss_is_bounded_the_same_way(
    checkout: Path, scored: dict[int, tuple[Path, dict[str, Any]]]
) -> None:
    test = file_md5(checkout / PROMPTS)
    worse, better = (version(scored[perfect][0], test) for perfect in (2, 7))
    gates = gain_gates(better, worse, params("crowdhuman.MR", max_regression=1.0), never)
    assert gates[0].name == "gain in crowdhuman.MR (less is better)"
    assert [gate.passed for gate in gates] == [False, False, True]


def test_a_number_that_no_version_has_is_an_error_that_lists_those_that_there_are(
    scored: dict[int, tuple[Path, dict[str, Any]]],
) -> None:
    metrics = scored[7][1]
    assert {"headline", "detect.headline", "coco.AP", "crowdhuman.MR", "citypersons.All"} <= set(names_in(metrics))
    lineage: Any = {"metrics": {"grpo": metrics}}
    with pytest.raises(RegistryError, match=r"but models:/people/3 has no such number; it has headline, detect\.head"):
        refuse_unknown(lineage, version(Path(), ""), "coco.APP")
    for name in names_in(metrics):
        refuse_unknown(lineage, version(Path(), ""), name)


@pytest.mark.parametrize("name", ["detection", "f1", "yolo.AP", "coco.", "count.f1", ""])
def test_a_name_of_another_shape_fails_when_params_are_read(name: str, tmp_path: Path) -> None:
    text = (REPO / "params.yaml").read_text().replace("metric: detection.f1", f"metric: {name!r}")
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=r"promote\.metric is .*: want headline, a task's \(detect\.headline, "):
        load_section(PromoteParams, tmp_path / "params.yaml")


def test_a_tasks_headline_is_of_its_own_samples(scored: dict[int, tuple[Path, dict[str, Any]]], tmp_path: Path) -> None:
    rows = read_table(scored[2][0] / "per_image.parquet", PER_IMAGE).to_pylist()
    counted = [row | {"sample_id": f"count/{place}", "task": "count", "truth_count": 1, "predicted_count": 1,
                      "matched_count": int(place < 6)} for place, row in enumerate(rows)]  # fmt: skip
    write_table(tmp_path / "per_image.parquet", PER_IMAGE, rows + counted)

    def asked() -> Path:
        raise AssertionError("counts need no truth")

    count = measured(tmp_path, "count.headline", asked)
    assert count.sample_ids == [row["sample_id"] for row in counted]
    assert count.measure(count.once) == 6 / 8
    both = measured(tmp_path, "headline", asked)
    assert len(both.sample_ids) == 16


def test_the_truth_of_other_images_is_refused(scored: dict[int, tuple[Path, dict[str, Any]]], prepared: Path) -> None:
    with pytest.raises(DataError, match="it is of other test images"):
        measured(scored[7][0], "coco.AP", lambda: prepared / "data/prompts/val.parquet")


def test_truth_that_lies_nowhere_is_one_sentence(
    checkout: Path, scored: dict[int, tuple[Path, dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = version(scored[7][0], "0" * 32)
    with pytest.raises(RegistryError, match=r"coco\.AP, which wants the truth .* neither here nor in the cache"):
        gain_gates(one, one, params("coco.AP"), never)
    assert not gain_gates(one, one, params("detection.f1"), never)[0].passed  # counts alone need none


def test_a_number_that_is_undefined_on_the_images_here_is_an_error_and_never_0(
    checkout: Path, scored: dict[int, tuple[Path, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, metrics = scored[7]
    prompts = {PROMPTS: file_md5(checkout / PROMPTS)}
    monkeypatch.setattr(rescore, "connect", lambda: None)
    monkeypatch.setattr(rescore, "find_version", lambda *_: version(folder, ""))
    monkeypatch.setattr(rescore, "statement_of", lambda one: one)
    monkeypatch.setattr(rescore, "from_statement", lambda _: {"prompts": prompts, "metrics": {"grpo": metrics}})
    monkeypatch.setattr(rescore, "artifact", lambda one, _place: one.scores)
    found = rescore.rescore("3")
    assert (found["now"], found["loss"]) == (found["before"], 0.0)
    monkeypatch.setattr(rescore, "measured", lambda *_: Measured(["a"], ["crowd"], lambda _drawn: None))
    with pytest.raises(RegistryError, match=r"of models:/people/3 is 0\.\d+ at registration and None on the 1 images"):
        rescore.rescore("3")
