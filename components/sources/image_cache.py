"""What is known of image files, kept by path, size and time of change: a second look at a dataset decodes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from components.sources.images import ImageFacts
from components.store.cache_file import open_cache
from components.store.image_files import LINKS_OUT, leaves_root

Inspect = Callable[[Sequence[Path]], Iterable[ImageFacts]]
COLUMNS = tuple(field.name for field in fields(ImageFacts))
_VERSION = 3  # a change of what inspect_image says makes what is kept worthless


class ImageCache:
    """`with ImageCache(file) as cache: cache.facts(paths, inspect)`."""

    def __init__(self, file: Path) -> None:
        columns = f"path TEXT, size INTEGER, mtime_ns INTEGER, {', '.join(COLUMNS)}"
        self._table = "images"
        schema = f"CREATE TABLE IF NOT EXISTS {self._table} ({columns}, PRIMARY KEY (path, size, mtime_ns))"
        self._database = open_cache(file, schema, _VERSION)

    def __enter__(self) -> ImageCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def facts(self, paths: Sequence[Path], inspect: Inspect, root: Path | None = None) -> list[ImageFacts]:
        """The facts of each file, in order; `inspect` is asked for those that are new or have changed.

        A link that leads out of `root` is refused unread, also where another dataset made its target known.
        """
        outside = [root is not None and leaves_root(path, root) for path in paths]
        keys = [None if out else _key(path) for path, out in zip(paths, outside, strict=True)]
        known = [None if key is None else self._look_up(key) for key in keys]
        known = [ImageFacts(defect=LINKS_OUT) if out else facts for facts, out in zip(known, outside, strict=True)]
        new = [i for i, facts in enumerate(known) if facts is None]
        for i, facts in zip(new, inspect([paths[i] for i in new]), strict=True):
            known[i] = facts
        rows = [(*key, *asdict(facts).values()) for key, facts in ((keys[i], known[i]) for i in new) if key and facts]
        marks = ", ".join("?" * (3 + len(COLUMNS)))
        with self._database:
            self._database.executemany(f"INSERT OR REPLACE INTO {self._table} VALUES ({marks})", rows)
        return [facts for facts in known if facts is not None]

    def _look_up(self, key: tuple[str, int, int]) -> ImageFacts | None:
        query = f"SELECT {', '.join(COLUMNS)} FROM {self._table} WHERE path = ? AND size = ? AND mtime_ns = ?"
        row = self._database.execute(query, key).fetchone()
        return None if row is None else ImageFacts(*row)


def _key(path: Path) -> tuple[str, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return str(path.resolve()), status.st_size, status.st_mtime_ns
