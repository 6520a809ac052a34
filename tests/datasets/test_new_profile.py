"""`lookout new-profile`: sizes and limits measured on the data, and a profile that composes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from components.datasets.new_profile import _pixels, new_profile
from components.errors import DataError, ParamsError
from components.graph.compose import composed
from components.params.plain_yaml import load_yaml
from components.params.whole import check_params
from components.prompting.budget import check_numbers
from components.sources import ingest
from components.store.schemas.validated import QUARANTINE
from components.store.tables import write_table
from tests.support.layouts import LAYOUTS
from tests.support.workspace import REPO, make_workspace


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a profile that has the drawn crowd and a dataset `pets`, which is ingested and validated."""
    folder = make_workspace(tmp_path / "checkout")
    (folder / "conf").unlink()
    shutil.copytree(REPO / "conf", folder / "conf")
    monkeypatch.chdir(folder)
    dataset = LAYOUTS["crowdhuman"](Path("data/raw/pets"))
    (folder / "conf/datasets").mkdir()
    entry = dataset.model_dump(exclude_defaults=True)
    (folder / "conf/datasets/pets.yaml").write_text(f"pets: {json.dumps(entry)}\n")
    config = folder / "conf/config.yaml"
    config.write_text(config.read_text().replace("- profile: tiny", "- profile: tiny\n  - datasets: [pets]"))
    ingest.run("pets", Path("data/interim/pets"), dataset)
    (folder / "data/validated/pets").mkdir(parents=True)
    write_table(folder / "data/validated/pets/quarantine.parquet", QUARANTINE, [])
    return folder


def test_a_profile_for_ones_own_data_alone_composes_and_says_what_was_chosen(pets: Path) -> None:
    path, choices = new_profile("mine", "tiny", ["pets"], only=True)
    params = check_params(load_yaml(composed("mine")), path)
    assert list(params.datasets) == ["pets"]
    assert (params.profile, params.register_.model_name, params.synthetic) == ("mine", "lookout-mine", {})
    build = params.base.build
    assert build is not None
    limit = params.prompts.max_completion_tokens
    assert limit == params.grpo.max_completion_length == params.predict.max_new_tokens
    assert build.max_number >= 64  # the longer side of the layouts' images, 64 x 48
    assert build.min_pixels <= build.max_pixels
    assert build.max_length > limit + build.max_pixels // 256
    keys = {choice.key for choice in choices}
    assert keys >= {"base.build.max_pixels", "base.build.max_number", "prompts.min_height_px"}
    assert all(f"# {choice.key} {choice.value}: " in path.read_text() for choice in choices)


def test_what_cannot_be_made_is_one_sentence_and_writes_nothing(pets: Path) -> None:
    before = sorted(Path("conf/profile").iterdir())
    for name, datasets, only, sentence in (
        ("on", ["pets"], False, "is no name"),
        ("tiny", ["pets"], False, "is there already"),
        ("mine", ["cats"], False, "tiny has no dataset cats; it has crowd, pets"),
        ("mine", ["crowd"], True, "conf/config.yaml adds pets to every profile"),
    ):
        with pytest.raises(ParamsError, match=sentence):
            new_profile(name, "tiny", datasets, only)
    with pytest.raises(DataError, match=r"crowd is not validated yet.*lookout validate --dataset crowd"):
        new_profile("mine", "tiny", ["pets"], only=False)
    assert sorted(Path("conf/profile").iterdir()) == before


def test_pixels_lift_all_but_a_few_people_to_the_least_height_and_stay_within_bounds() -> None:
    size = (640, 480)
    people = [(size, 40.0)] * 99 + [(size, 1.0)]
    # 640 x 480 scaled by 8/40: 128 x 96 = 12,288 pixels, in squares of 16: 112 x 112 = 12,544
    assert _pixels([size], people, 8.0, 16, 4096, 262_144) == 112 * 112
    assert _pixels([size], people, 8.0, 16, 65_536, 262_144) == 65_536
    assert _pixels([size], [(size, 2.0)], 8.0, 16, 4096, 262_144) == 262_144
    assert _pixels([(64, 48)], [((64, 48), 2.0)], 8.0, 16, 1024, 262_144) == 64 * 64


def test_a_coordinate_that_a_built_policy_has_no_token_for_is_an_error() -> None:
    row = {"frame": "resized", "model_width_px": 96, "model_height_px": 48, "answer_as": "boxes", "sample_id": "pets/a"}
    check_numbers([row], 96)
    check_numbers([row | {"answer_as": "text"}], 64)
    with pytest.raises(ParamsError, match=r"is 64, and pets/a has coordinates up to 96 \(96 x 48 px\): want 96"):
        check_numbers([row], 64)
    with pytest.raises(ParamsError, match=r"coordinates up to 1000 \(thousandths\)"):
        check_numbers([row | {"frame": "relative_1000"}], 999)
