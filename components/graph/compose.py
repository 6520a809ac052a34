"""params.yaml from a profile of conf/, as DVC's own Hydra support composes it; and single values changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

from components.errors import ParamsError
from components.params.plain_yaml import load_yaml
from components.params.reading import PARAMS_FILE
from components.params.whole import check_params, load_params
from components.store.atomic import atomic_file

CONF = Path("conf")
LONGEST, MOST = 4000, 100
"""Characters of an override, and overrides of a run."""
SHOWN = 80
"""Characters of an override that a message shows."""


def compose(profile: str) -> None:
    """Writes params.yaml and checks it. Raises ParamsError where there is no such profile; then nothing changes."""
    text = composed(profile)
    with atomic_file(PARAMS_FILE) as partial:
        partial.write_text(text)


def profiles() -> list[str]:
    """Names of conf/profile."""
    return sorted(path.stem for path in (CONF / "profile").glob("*.yaml"))


def composed(profile: str) -> str:
    """The text of a profile's params.yaml, checked. Raises ParamsError."""
    if profile not in profiles():
        raise ParamsError(f"conf/profile has no {profile}.yaml; it has {', '.join(profiles())}")
    from dvc.utils.hydra import compose_and_dump

    with TemporaryDirectory() as folder:
        new = Path(folder) / PARAMS_FILE.name
        compose_and_dump(str(new), str(CONF.resolve()), None, "config", "", [f"profile={profile}"])
        load_params(new)
        return new.read_text()


def overridden(text: str, settings: Sequence[str], new_datasets: bool = False) -> str:
    """A params.yaml's text with settings (`rewards.weights.looking=0.5`) put in, checked.

    new_datasets: a mapping may also bring keys that are not there. Raises ParamsError for what is no KEY=VALUE, for a
    key that is not there and for a value that does not fit.
    """
    if len(settings) > MOST:
        raise ParamsError(f"{len(settings)} overrides are given, want at most {MOST}; a profile of conf/ holds more")
    values: dict[str, Any] = load_yaml(text)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ParamsError(f"{setting[:SHOWN]!r} is no override: want KEY=VALUE, like rewards.weights.looking=0.5")
        _put(values, key.strip().split("."), value, new_datasets)
    check_params(values, Path(PARAMS_FILE.name))
    with StringIO() as file:
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.dump(values, file)
        return file.getvalue()


def _put(values: dict[str, Any], keys: list[str], text: str, new_datasets: bool) -> None:
    name = ".".join(keys)[:SHOWN]
    for number, key in enumerate(keys):
        if not isinstance(values, dict) or key not in values:
            raise ParamsError(f"the override of {name} names {'.'.join(keys[: number + 1])[:SHOWN]}, "
                              "which is no parameter")  # fmt: skip
        if number < len(keys) - 1:
            values = values[key]
    try:
        value = load_yaml(text, LONGEST)
    except ValueError as error:
        raise ParamsError(f"the override {name}={text[:SHOWN]} {error}") from None
    brought = [] if new_datasets else list(_new_keys(values[keys[-1]], value, name))
    if brought:
        raise ParamsError(f"the override of {name} brings {brought[0][:SHOWN]}, which is no parameter here; "
                          "`lookout retrain --new-dataset` lets a mapping bring new keys")  # fmt: skip
    values[keys[-1]] = value


def _new_keys(before: Any, after: Any, where: str) -> Iterator[str]:
    """Keys of a mapping that the one before does not have; where there was none, the models say what may stand."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in after.items():
            if key in before:
                yield from _new_keys(before[key], value, f"{where}.{key}")
            else:
                yield f"{where}.{key}"
