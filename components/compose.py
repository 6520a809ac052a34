"""params.yaml from a profile of conf/, as DVC's own Hydra support composes it."""

from __future__ import annotations

from pathlib import Path

from components.errors import ParamsError
from components.params import PARAMS_FILE, load_params

CONF = Path("conf")


def compose(profile: str) -> None:
    """Writes params.yaml and checks it. Raises ParamsError where there is no such profile; then nothing changes."""
    profiles = sorted(path.stem for path in (CONF / "profile").glob("*.yaml"))
    if profile not in profiles:
        raise ParamsError(f"conf/profile has no {profile}.yaml; it has {', '.join(profiles)}")
    from dvc.utils.hydra import compose_and_dump

    new = PARAMS_FILE.with_suffix(".new.yaml")
    try:
        compose_and_dump(str(new), str(CONF.resolve()), None, "config", "", [f"profile={profile}"])
        load_params(new)
        new.replace(PARAMS_FILE)
    finally:
        new.unlink(missing_ok=True)
