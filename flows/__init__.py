"""Prefect only, no numerics: the same stages that dvc.yaml has, run, scheduled and seen.

Importing it points Prefect at the server that `make up` started, where one runs, and else at none.
"""

import os

from components.machine.home import lookout_home
from components.machine.quiet import QUIET
from components.operations.up import client_settings

os.environ.update(QUIET)
os.environ.setdefault("PREFECT_HOME", str(lookout_home() / "prefect"))
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")  # a first start migrates its database
os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")
if "PREFECT_API_URL" not in os.environ:
    os.environ |= client_settings()
