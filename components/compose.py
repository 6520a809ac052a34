"""params.yaml from a profile of conf/, as DVC's own Hydra support composes it; and single values changed."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from components.errors import ParamsError
from components.params import PARAMS_FILE, check_params, load_params
from components.store.atomic import atomic_file

CONF = Path("conf")


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


def overridden(text: str, settings: Sequence[str]) -> str:
    """A params.yaml's text with settings (`rewards.weights.looking=0.5`) put in, checked.

    Raises ParamsError for what is no KEY=VALUE, for a key that is not there and for a value that does not fit.
    """
    values: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ParamsError(f"{setting!r} is no override: want KEY=VALUE, like rewards.weights.looking=0.5")
        _put(values, key.strip().split("."), value, setting)
    check_params(values, Path(PARAMS_FILE.name))
    with StringIO() as file:
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.dump(values, file)
        return file.getvalue()


def _put(values: dict[str, Any], keys: list[str], value: str, setting: str) -> None:
    for number, key in enumerate(keys):
        if not isinstance(values, dict) or key not in values:
            raise ParamsError(f"the override {setting!r} names {'.'.join(keys[: number + 1])}, which is no parameter")
        if number < len(keys) - 1:
            values = values[key]
    try:
        values[keys[-1]] = YAML(typ="safe", pure=True).load(value)
    except YAMLError:
        raise ParamsError(f"the override {setting!r}: {value!r} is no YAML value") from None
