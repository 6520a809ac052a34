"""`python -m components.operations.stage MODULE ...`: how dvc.yaml starts a stage, and a launcher each process of one.

It has the kernel end it with its starter before anything heavy is imported, keeps a whole dvc.lock, looks at what the
stage begins with, and calls MODULE's main, in several processes where params ask for them; what goes wrong is one
sentence. It is no code dependency: no stage imports it, so how a stage is started and how it fails retrains nobody.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn

from components.core.words import TRAINED
from components.machine.children import die_with_parent
from components.machine.quiet import QUIET
from components.machine.workers import is_worker


def check(module: str, arguments: list[str]) -> None:
    """Raises ParamsError where anything in params.yaml is wrong, read by this stage or not, and where dvc.yaml lacks a
    file that the stage imports; DataError where an input has other bytes than dvc.lock names.
    """
    from components.graph.code_deps import check_listed
    from components.graph.stage_inputs import refuse_altered
    from components.params.whole import load_params

    load_params()
    stage = module.rpartition(".")[2]
    check_listed(stage)
    refuse_altered(stage, arguments[-1] if arguments else "")


def begin(module: str, arguments: list[str]) -> None:
    """Keeps dvc.lock and checks; a failure is one sentence and exit code 1."""
    from contextlib import suppress

    from components.errors import LookoutError
    from components.graph.kept_lock import keep
    from components.machine.refusals import refusal

    try:
        with suppress(OSError):  # a disk that is full or read-only: the stage says so in its own sentence
            keep()
        check(module, arguments)
    except (LookoutError, OSError) as error:
        end(refusal(error) or str(error))


def perform(work: Callable[[], None]) -> None:
    """Does a stage's work: logs to stderr; what the user can mend is one sentence and exit code 1."""
    from components.errors import LookoutError
    from components.machine.refusals import refusal

    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("lookout").setLevel(logging.INFO)
    try:
        work()
    except LookoutError as error:
        end(str(error))
    except Exception as error:
        sentence = refusal(error)
        if sentence is None:
            raise
        end(sentence)


def end(sentence: str) -> NoReturn:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(1)


def run(module: str, arguments: list[str]) -> None:
    """Calls the stage's main: a training's and predict's in as many processes as params ask for, base's with a registry
    to fetch from.
    """
    stage, command = module.rpartition(".")[2], ["-m", "components.operations.stage", module, *arguments]
    found = import_module(module)
    sys.argv[:] = [str(found.__file__), *arguments]
    if stage in TRAINED:
        from components.params.whole import load_params
        from components.policy.launch import run_training

        run_training(stage, command, getattr(load_params(), stage).launch, found.main)
    elif stage == "predict":
        from components.params.whole import load_params
        from components.policy.launch import run_predict

        run_predict(command, load_params().predict, found.main)
    elif stage == "base":
        from components.model_registry.starting_policy import fetch_policy

        found.main(fetch_policy)
    else:
        found.main()


def main() -> None:
    if not die_with_parent():
        end("the process that started this stage has ended")
    module, *arguments = sys.argv[1:]
    if not is_worker():
        begin(module, arguments)
    perform(lambda: run(module, arguments))


if __name__ == "__main__":
    main()
