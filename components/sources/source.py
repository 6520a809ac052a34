"""What every reader gives: raw scenes, one by one, with the place in the annotations that each came from."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from components.core.flags import WANTED, flag_of
from components.errors import SourceError

MOST_NAME_BYTES = 255
"""What a file system takes for one part of a path."""
BOM = b"\xef\xbb\xbf"
LARGEST = 1e9
Corners = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class RawBox:
    """One annotated box, x1 y1 x2 y2 in original pixels, exactly as the dataset has it."""

    label: str
    ignore: bool
    full: Corners
    visible: Corners | None = None
    head: Corners | None = None


@dataclass(frozen=True, slots=True)
class RawAsk:
    """One of a dataset's own questions about an image; what its task does not have is None."""

    annotation: str
    phrase: str | None = None
    box_index: int | None = None
    """The box among the scene's that a sentence refers to."""
    count: int | None = None
    points: tuple[tuple[float, float], ...] | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class RawScene:
    """One annotated image; `image_path` is relative to the dataset's root and stays inside it."""

    scene_id: str
    image_path: str
    boxes: tuple[RawBox, ...]
    annotation: str  # file:line, or file and key
    stated_size: tuple[int, int] | None = None
    """Width and height as the annotations have them, None where they have none."""
    asks: tuple[RawAsk, ...] = ()
    stated_sha256: str | None = None
    """Of the image's bytes, where the annotations say it."""


@dataclass(frozen=True, slots=True)
class Note:
    """A row of the annotations that was not taken as it stands, and why."""

    kind: Literal["skipped", "altered", "flagged"]
    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a reader cannot know from the files alone."""

    images: str | None = None
    """Folder of the images, relative to the root, where it is not the format's usual one."""
    rows_without_class: bool = False
    """WIDER Pedestrian: rows hold x y w h, not class x y w h."""


DEFAULTS = ReadOptions()
Source = Callable[[Path, Path, ReadOptions], Iterator[RawScene | Note]]
"""(root, annotation file or folder, options) -> scenes and notes. Raises SourceError with file and line."""


@dataclass(slots=True)
class OnceOnly:
    """Refuses an image that stands twice in one split's annotations."""

    seen: dict[str, str] = field(default_factory=dict)

    def add(self, scene_id: str, where: str) -> None:
        """Raises SourceError that names both places."""
        if scene_id in self.seen:
            raise SourceError(f"{where}: image {scene_id!r} stands in {self.seen[scene_id]} already")
        self.seen[scene_id] = where


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and text of each line that is not blank. Raises SourceError at a byte order mark or bad UTF-8."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path}:{number}"
            if number == 1 and line.startswith(BOM):
                raise SourceError(f"{where}: the file begins with a byte order mark; save it as plain UTF-8")
            try:
                text = line.decode().strip()
            except UnicodeDecodeError as error:
                raise SourceError(f"{where}: not UTF-8 at byte {error.start}; is the file damaged?") from None
            if text:
                yield number, text


def corners(value: Any, where: str) -> Corners:
    """x y w h -> x1 y1 x2 y2. What is not four finite numbers is refused; odd sizes are validation's business."""
    if not isinstance(value, (list, tuple)) or len(value) != 4 or not all(map(is_number, value)):
        raise SourceError(f"{where}: got {shown(value)}, want four numbers x y w h")
    if not all(abs(part) < LARGEST for part in value):  # NaN is not below it either
        raise SourceError(f"{where}: got {shown(value)}, want finite numbers below 1e9")
    x, y, width, height = (float(part) for part in value)
    return x, y, x + width, y + height


def is_number(value: Any) -> bool:
    """Whether it is an int or a float; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_flagged(value: Any, where: str) -> bool:
    """Whether a flag of the annotations is set; 0 and "false" are not. Raises SourceError where it says neither."""
    found = flag_of(value)
    if found is None:
        raise SourceError(f"{where} is the flag {shown(value)}; want {WANTED}")
    return found


def by_number(names: Mapping[int, str], number: float, noun: str = "class") -> str:
    """The word for a class's number; one that is none of them keeps its number: 1.7 is no class 1."""
    whole = int(number) if number in names else None
    return f"{noun} {number:g}" if whole is None else names[whole]


def numbers(texts: list[str], where: str) -> list[float]:
    """The texts as numbers. Raises SourceError where one is none."""
    try:
        return [float(text) for text in texts]
    except ValueError:
        raise SourceError(f"{where}: got {' '.join(texts)[:60]!r}, want numbers") from None


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def shown(value: Any, most: int = 60) -> str:
    """A value from outside as a sentence shows it: one line, short, however deep or large the value is."""
    try:
        return _SHORT.repr(value)[:most]
    except ValueError:  # Python writes no number of more than 4,300 digits
        return f"a huge {type(value).__name__}"


def typed(value: Any) -> str:
    """A short form that does not hide that a value is text: '1' (text) is another than 1."""
    return f"{shown(value)} (text)" if isinstance(value, str) else shown(value)


def is_identity(value: Any) -> bool:
    """Whether it can be an ID: a whole number, 1.0 too, or text."""
    return type(value) in (int, str) or (type(value) is float and value.is_integer())


def whole_text(text: str, where: str) -> str:
    """The text. Raises SourceError where it holds half of a surrogate pair, which no file and no tokenizer can take."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(text[error.start]):04X}"
        raise SourceError(f"{where}: {text[:40]!r} holds {half}, half of a character; is the text damaged?") from None
    return text


def check_texts(scene: RawScene) -> None:
    """Raises SourceError where a word or sentence of any reader's scene is no whole text."""
    for label in {box.label for box in scene.boxes}:
        whole_text(label, scene.annotation)
    for ask in scene.asks:
        whole_text(f"{ask.phrase or ''}{ask.text or ''}", ask.annotation)
    whole_text(scene.scene_id, scene.annotation)


def image_inside(folder: str, name: str, where: str) -> str:
    """The image's path relative to the dataset's root. Raises SourceError where the name would leave the folder."""
    path = PurePosixPath(whole_text(name, where))
    if any(len(part.encode()) > MOST_NAME_BYTES for part in path.parts):
        raise SourceError(f"{where}: the image name {name[:40]!r}... is longer than a file's name can be")
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or name in {".", "/"}:
        raise SourceError(f"{where}: the image name {name[:80]!r} leaves the folder {folder}; want a plain file name")
    return (PurePosixPath(folder) / path).as_posix()
