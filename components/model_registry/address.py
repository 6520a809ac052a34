"""Where MLflow's store is."""

from __future__ import annotations

import os

from components.errors import RegistryError
from components.machine.home import lookout_home


def mlflow_uri() -> str:
    """MLFLOW_TRACKING_URI, or the sqlite file under the home. Raises RegistryError for a path that no URL can hold."""
    named = os.environ.get("MLFLOW_TRACKING_URI")
    if named:
        return named
    home = lookout_home()
    odd = sorted(set("?%") & set(str(home)))
    if odd:
        raise RegistryError(
            f"{home} has {' and '.join(odd)} in its path, which MLflow reads as part of a URL and then looks for other "
            "files: move the checkout, or set LOOKOUT_HOME to a folder without"
        )
    return f"sqlite:///{home / 'mlflow.db'}"
