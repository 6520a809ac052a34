"""params.yaml: a wrong key is named in one sentence; the committed file is the default composition."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from ruamel.yaml import YAML

from components.errors import ParamsError
from components.params.base import BaseParams
from components.params.grpo import GrpoParams
from components.params.reading import PARAMS_FILE, load_raw, load_section
from components.params.rewards import RewardsParams
from components.params.sft import SftParams
from components.params.whole import check_params, load_params


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = PARAMS_FILE.read_text()
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def composed(profile: str) -> str:
    with initialize_config_dir(str(Path("conf").resolve()), version_base=None):
        return OmegaConf.to_yaml(compose("config", overrides=[f"profile={profile}"]), resolve=True)


def test_the_committed_params_are_the_default_composition() -> None:
    assert PARAMS_FILE.read_text() == composed("tiny")


@pytest.mark.parametrize("profile", sorted(path.stem for path in Path("conf/profile").glob("*.yaml")))
def test_every_profile_composes_to_valid_params(profile: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(composed(profile))
    assert load_params(path).profile == profile


def test_a_mistyped_key_names_itself(tmp_path: Path) -> None:
    path = changed(tmp_path, "num_generations:", "num_generatoins:")
    with pytest.raises(ParamsError, match=r"grpo\.num_generatoins is not a parameter; is it mistyped\? \(and 1 more\)"):
        load_section(GrpoParams, path)


def test_a_missing_section_names_itself(tmp_path: Path) -> None:
    path = changed(tmp_path, "\nsft:", "\nsftt:")
    with pytest.raises(ParamsError, match="the section sft: is missing"):
        load_section(SftParams, path)


def test_a_number_out_of_range_says_what_was_got_and_wanted(tmp_path: Path) -> None:
    path = changed(tmp_path, "tau: 0.5", "tau: 1.5")
    with pytest.raises(ParamsError, match=r"rewards\.precision_recall\.tau is 1\.5: .* less than or equal to 1"):
        load_section(RewardsParams, path)


def test_text_is_not_taken_for_a_number(tmp_path: Path) -> None:
    path = changed(tmp_path, "tau: 0.5", "tau: '0.5'")
    with pytest.raises(ParamsError, match=r"rewards\.precision_recall\.tau"):
        load_section(RewardsParams, path)


def test_weights_that_are_all_zero_are_refused(tmp_path: Path) -> None:
    values = load_raw()
    values["rewards"]["weights"] = {"reasoning": 0.0}
    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        YAML(typ="safe", pure=True).dump(values, file)
    with pytest.raises(ParamsError, match=r"want no negative weight and one above 0"):
        load_section(RewardsParams, path)


def test_a_base_is_built_or_pretrained_but_not_both(tmp_path: Path) -> None:
    pretrained = "pretrained: {path: x, revision: null, min_pixels: 4, max_pixels: 9}"
    with pytest.raises(ParamsError, match="exactly one"):
        load_section(BaseParams, changed(tmp_path, "pretrained: null", pretrained))


def test_a_learning_rate_in_scientific_notation_is_a_number(tmp_path: Path) -> None:
    path = changed(tmp_path, "learning_rate: 0.002", "learning_rate: 2e-06")
    assert load_section(SftParams, path).learning_rate == 2e-06


def test_a_missing_file_says_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="lookout compose tiny"):
        load_params(tmp_path / "params.yaml")


def test_broken_yaml_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("sft: [1, 2")
    with pytest.raises(ParamsError, match="is not valid YAML") as caught:
        load_params(path)
    assert "\n" not in str(caught.value)


def test_perception_r1s_profiles_have_the_papers_values_and_a_reward_for_their_task(tmp_path: Path) -> None:
    from components.prompting.questions import grammar_of
    from components.rewards import without_accuracy

    for name, limit in (("counting", 768), ("grounding", 768), ("ocr", 2048), ("detection", 2048)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(composed(f"perception-r1-{name}"))
        params = load_params(path)
        grpo = params.grpo
        assert (grpo.learning_rate, grpo.num_generations, grpo.beta, grpo.temperature) == (1e-6, 8, 0.04, 1.0)
        assert grpo.max_completion_length == params.predict.max_new_tokens == limit
        assert (params.prompts.thinking, params.sft.max_steps) == ("none", 0)
        asked = [grammar_of(key, dataset) for key, dataset in params.datasets.items()]
        assert without_accuracy(params.rewards.weights, asked) == []


def test_the_base_of_an_earlier_version_may_name_the_file_that_its_commit_has() -> None:
    raw = load_raw(PARAMS_FILE)
    raw["base"]["local"] = "components/training/base_model.py"
    assert check_params(raw, PARAMS_FILE).base.local == "components/training/base_model.py"
    raw["base"]["local"] = "data/raw"
    with pytest.raises(ParamsError, match=r"base.local is data/raw, want the folder of base\.pretrained\.path or comp"):
        check_params(raw, PARAMS_FILE)
