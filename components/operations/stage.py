"""`python -m components.operations.stage MODULE ...`: how dvc.yaml starts a stage.

It has the kernel end it with dvc before anything heavy is imported, keeps a whole dvc.lock, and becomes MODULE. It is
no code dependency: no stage imports it.
"""

from __future__ import annotations

import sys

from components.machine.children import become, die_with_parent


def main() -> None:
    if not die_with_parent():
        sys.exit("error: the dvc that started this stage has ended")
    from contextlib import suppress

    from components.errors import DataError
    from components.graph.kept_lock import keep

    try:
        with suppress(OSError):  # a disk that is full or read-only: the stage says so in its own sentence
            keep()
    except DataError as error:
        sys.exit(f"error: {error}")
    become(sys.argv[1:])


if __name__ == "__main__":
    main()
