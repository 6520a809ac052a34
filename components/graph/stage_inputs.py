"""Are the files that a stage reads the bytes that the stage before it wrote? DVC goes by names, times and its cache."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from components.errors import DataError
from components.graph.dvc_lock import LOCK_FILE, read_lock_file
from components.store.digest import dvc_digest


def refuse_altered(paths: Sequence[Path]) -> None:
    """Raises DataError where a file or folder has other bytes than dvc.lock names for it, with what to do.

    A cache whose objects were altered is laid out by DVC without a look at them. Where dvc.lock does not name a path,
    or there is none, as in a test, nothing is said; of several processes the first one looks.
    """
    if not LOCK_FILE.exists() or os.environ.get("RANK", "0") != "0":
        return
    stages = read_lock_file()["stages"]
    named = {out["path"]: (name, out.get("md5")) for name, body in stages.items() for out in body.get("outs", [])}
    for path in paths:
        name, wanted = named.get(path.as_posix(), ("", None))
        if wanted is not None and path.exists() and (found := dvc_digest(path)) != wanted:
            raise DataError(
                f"{path} has the MD5 {found}, dvc.lock names {wanted}: its bytes are not those that {name} wrote; was "
                f"a file or DVC's cache altered? `dvc repro --force --single-item {name}` makes it again"
            )
