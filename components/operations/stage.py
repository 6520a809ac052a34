"""`python -m components.operations.stage MODULE ...`: how dvc.yaml starts a stage.

It has the kernel end it with dvc before anything heavy is imported, keeps a whole dvc.lock, looks at what the stage
begins with, and becomes MODULE. It is no code dependency: no stage imports it, so what it checks retrains nobody.
"""

from __future__ import annotations

import sys

from components.machine.children import become, die_with_parent


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


def main() -> None:
    if not die_with_parent():
        sys.exit("error: the dvc that started this stage has ended")
    from contextlib import suppress

    from components.errors import LookoutError
    from components.graph.kept_lock import keep
    from components.machine.refusals import refusal

    module, *arguments = sys.argv[1:]
    try:
        with suppress(OSError):  # a disk that is full or read-only: the stage says so in its own sentence
            keep()
        check(module, arguments)
    except (LookoutError, OSError) as error:
        sys.exit(f"error: {refusal(error) or error}")
    become([module, *arguments])


if __name__ == "__main__":
    main()
