"""How a stage runs: its logging, its end with the dvc that started it, one sentence on failure."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from components.errors import LookoutError
from components.machine.children import die_with_parent
from components.machine.refusals import refusal

QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def run_stage(main: Callable[[], None]) -> None:
    """Runs a stage's main: logs to stderr; what the user can mend is one sentence and exit code 1.

    The stage ends with the dvc that started it.
    """
    if not die_with_parent():
        sys.exit(_fail("the process that started this stage has ended"))
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("lookout").setLevel(logging.INFO)
    try:
        main()
    except LookoutError as error:
        sys.exit(_fail(str(error)))
    except Exception as error:
        sentence = refusal(error)
        if sentence is None:
            raise
        sys.exit(_fail(sentence))


def _fail(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 1
