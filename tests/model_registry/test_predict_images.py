"""`lookout predict`: no input is written onto, every picture has a copy of its own, what cannot be is one sentence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from components.errors import DataError
from components.model_registry import predict_images as module
from components.model_registry.predict_images import predict_images


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A model that finds one box in every picture, of a confidence that nobody knows; the rows that it was asked."""
    asked: list[Any] = []

    class Model:
        def predict(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            asked.extend(rows)
            return [{"boxes": [[10, 10, 200, 200]], "scores": [None], "points": []} for _ in rows]

    monkeypatch.setattr(module, "_load", lambda _: Model())
    return asked


def picture(path: Path, colour: str = "white") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (240, 240), colour).save(path)
    return path


def test_a_copy_shows_the_box_and_is_replaced_by_the_next_call(tmp_path: Path, model: list[Any]) -> None:
    photo = picture(tmp_path / "photo.jpg")
    for _ in range(2):
        (answer,) = predict_images("m", [photo], tmp_path / "out")
    copy = Path(answer["picture"])
    assert copy == tmp_path / "out/photo.png"
    with Image.open(copy) as drawn:
        assert drawn.convert("RGB").getpixel((10, 100)) != (255, 255, 255)
    assert model[0] == {"image_bytes": photo.read_bytes()}  # the model reads no path


def test_no_picture_is_written_onto_through_a_link_either(tmp_path: Path, model: list[Any]) -> None:
    photo = picture(tmp_path / "photo.png")
    content = photo.read_bytes()
    (tmp_path / "linked").symlink_to(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/photo.png").symlink_to(photo)
    (tmp_path / "hard").mkdir()
    os.link(photo, tmp_path / "hard/photo.png")
    for out in (tmp_path, tmp_path / "linked", tmp_path / "out", tmp_path / "hard"):
        with pytest.raises(DataError, match="is no copy that this command may replace; name another folder as --out"):
            predict_images("m", [photo], out)
    assert (photo.read_bytes(), model) == (content, [])
    (copy,) = predict_images("m", [photo], tmp_path / "copies")
    with pytest.raises(DataError, match="is no copy"):  # an earlier copy that is asked about is an input too
        predict_images("m", [Path(copy["picture"])], tmp_path / "copies")


def test_a_picture_of_the_users_own_beside_the_one_that_is_asked_about_stays(tmp_path: Path) -> None:
    photo, other = picture(tmp_path / "photo.jpg"), picture(tmp_path / "photo.png", "red")
    content = other.read_bytes()
    with pytest.raises(DataError, match="is no copy"):
        predict_images("m", [photo], tmp_path)
    assert other.read_bytes() == content


def test_pictures_of_one_name_have_each_a_copy(tmp_path: Path) -> None:
    names = ["a/x.jpg", "b/x.jpg", "0-x.jpg", "c/X.png", "1-x.bmp"]
    answers = predict_images("m", [picture(tmp_path / name) for name in names], tmp_path / "out")
    copies = [Path(answer["picture"]).name for answer in answers]
    assert copies == ["0-0-x.png", "1-1-x.png", "0-x.png", "3-X.png", "1-x.png"]
    assert len(list((tmp_path / "out").iterdir())) == len({name.casefold() for name in copies}) == 5


def test_names_that_are_long_or_no_utf_8_are_written(tmp_path: Path) -> None:
    photo = picture(tmp_path / "photo.jpg")
    names = [b"n" * 244 + b".jpg", b"\xff\xfe.jpg", "é".encode() * 120 + b".jpg", b"[*].jpg"]
    for name in names:
        os.link(photo, os.path.join(os.fsencode(tmp_path), name))  # noqa: PTH118  (bytes)
    pictures = [tmp_path / os.fsdecode(name) for name in names]
    answers = predict_images("m", pictures, tmp_path / "out")
    assert len({Path(answer["picture"]) for answer in answers if Path(answer["picture"]).is_file()}) == len(names)


def test_what_cannot_be_written_is_one_sentence_before_the_model_is_loaded(
    tmp_path: Path, model: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = picture(tmp_path / "photo.jpg")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="file is a file, and --out wants a folder"):
        predict_images("m", [photo], tmp_path / "file")
    with pytest.raises(DataError, match="cannot be made for the copies"):
        predict_images("m", [photo], tmp_path / "file/under")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(DataError, match="cannot be written to"):
        predict_images("m", [photo], tmp_path / "out")
    assert model == []


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    photo = picture(tmp_path / "photo.jpg")
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(DataError, match=r"photo\.png cannot be written \(No space left on device\)"):
        predict_images("m", [photo], tmp_path / "out")


def test_a_pipe_a_folder_and_a_file_that_is_no_picture_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "text.png").write_text("no picture")
    for path in (tmp_path / "pipe.png", tmp_path, tmp_path / "text.png", tmp_path / "none.png", Path("/dev/zero")):
        with pytest.raises(DataError, match=r"is no regular file|is no image of the kinds|cannot be read"):
            predict_images("m", [path], tmp_path / "out")


def test_a_phrase_that_is_no_utf_8_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--phrase '\\udcff' is no UTF-8"):
        predict_images("m", [picture(tmp_path / "a.png")], tmp_path / "out", {"phrase": "\udcff"})
