"""One way to open an image: what is looked at, trained on, answered and shown is the same picture."""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from components.errors import ImageError
from components.sources.image_cache import ImageCache
from components.sources.images import inspect_image
from components.store.image_files import IMAGE_SUFFIXES, decode, decode_image, open_image

GREY = (np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 204 // 1023 + 13).astype(np.uint8)
"""13 to 217, as a picture with neither black nor white has it."""
DEEP = {
    "16 of 16 bits": (GREY.astype(np.uint16) * 257, "PNG"),
    "16 of 16 bits in TIFF": (GREY.astype(np.uint16) * 257, "TIFF"),
    "14 of 16 bits": (GREY.astype(np.uint16) << 6, "PNG"),
    "12 of 16 bits": (GREY.astype(np.uint16) << 4, "PNG"),
    "10 of 16 bits": (GREY.astype(np.uint16) << 2, "TIFF"),
    "8 of 16 bits": (GREY.astype(np.uint16), "PNG"),
    "16 of 32 bits": (GREY.astype(np.int32) * 257, "TIFF"),
    "24 of 32 bits": (GREY.astype(np.int32) << 16, "TIFF"),
    "31 of 32 bits": (GREY.astype(np.int32) << 23, "TIFF"),
    "shares": (GREY.astype(np.float32) / 255, "TIFF"),
    "8 bits in floats": (GREY.astype(np.float32), "TIFF"),
    "16 bits in floats": (GREY.astype(np.float32) * 257, "TIFF"),
}


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(content: bytes) -> NDArray[np.int64]:
    image = decode_image(content, "it")
    assert image.mode == "RGB"
    return np.asarray(image).astype(np.int64)


@pytest.mark.parametrize("name", DEEP)
def test_grey_values_of_more_than_8_bits_are_scaled_by_their_range(name: str) -> None:
    values, kind = DEEP[name]
    wanted = GREY if name != "31 of 32 bits" else GREY // 2  # a bit shorter than the range of 32
    assert np.abs(pixels(saved(Image.fromarray(values), kind))[..., 1] - wanted).max() <= 1


def test_a_few_lights_above_white_do_not_make_the_rest_black() -> None:
    values = GREY.astype(np.float32) / 255
    values[0, :3] = (40.0, np.inf, np.nan)
    seen = pixels(saved(Image.fromarray(values), "TIFF"))[..., 0]
    assert np.array_equal(seen[1:], GREY[1:]) and seen[0, :3].tolist() == [255, 255, 0]


def test_white_is_zero_in_a_deep_tiff_that_says_so() -> None:
    negative = saved(Image.fromarray(65535 - GREY.astype(np.uint16) * 257), "TIFF", tiffinfo={262: 0})
    assert np.abs(pixels(negative)[..., 0] - GREY).max() <= 1


def test_deep_pictures_that_differ_are_no_duplicates(tmp_path: Path) -> None:
    for name, values in (("a", GREY), ("b", GREY[::-1, ::-1])):
        (tmp_path / f"{name}.png").write_bytes(saved(Image.fromarray(values.astype(np.uint16) * 257)))
        (tmp_path / f"{name}8.png").write_bytes(saved(Image.fromarray(values)))
    hashes = {name: inspect_image(tmp_path / f"{name}.png").perceptual_hash for name in ("a", "a8", "b", "b8")}
    assert hashes["a"] == hashes["a8"] != hashes["b"] == hashes["b8"]


def _transparent(kind: str) -> bytes:
    """A red square in the middle; everywhere else invisible, with a colour that nobody sees."""
    rgba = np.full((16, 16, 4), (0, 0, 255, 0), dtype=np.uint8)
    rgba[4:12, 4:12] = (255, 0, 0, 255)
    image = Image.fromarray(rgba)
    if kind == "P":
        palette = Image.fromarray(np.where(rgba[..., 3] > 0, 1, 0).astype(np.uint8)).convert("P")
        palette.putpalette([0, 0, 255, 255, 0, 0])
        return saved(palette, transparency=0)
    if kind == "RGB":
        return saved(image.convert("RGB"), transparency=(0, 0, 255))
    return saved(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "P", "RGB"])
def test_what_is_transparent_is_seen_on_white(kind: str) -> None:
    seen = pixels(_transparent(kind))
    assert (seen[0, 0].tolist(), seen[8, 8].tolist()) == ([255, 255, 255], [255, 0, 0])


def test_half_transparent_is_half_white() -> None:
    assert pixels(saved(Image.new("RGBA", (4, 4), (0, 0, 0, 128))))[0, 0].tolist() == [127, 127, 127]
    assert pixels(saved(Image.new("LA", (4, 4), (0, 128))))[0, 0].tolist() == [127, 127, 127]


def test_an_ordinary_picture_keeps_its_pixels() -> None:
    colours = np.random.default_rng(3).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(pixels(saved(Image.fromarray(colours))), colours)
    assert np.array_equal(pixels(saved(Image.fromarray(GREY)))[..., 2], GREY)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("JPEG", "jpg"),
        ("MPO", "jpg"),
        ("GIF", "gif"),
        ("AVIF", "avif"),
        ("TIFF", "tif"),
        ("WEBP", "webp"),
        ("BMP", "bmp"),
    ],
)
def test_the_first_picture_of_each_kind_of_file_is_taken(kind: str, suffix: str, tmp_path: Path) -> None:
    first, second = Image.new("RGB", (64, 48), (200, 30, 30)), Image.new("RGB", (64, 48), (30, 30, 200))
    several = {"save_all": True, "append_images": [second]} if kind in {"MPO", "GIF", "AVIF", "TIFF", "WEBP"} else {}
    path = tmp_path / f"it.{suffix}"
    path.write_bytes(saved(first, kind, **several))
    facts = inspect_image(path)
    assert (facts.defect, facts.width_px, facts.height_px) == (None, 64, 48)
    assert np.abs(np.asarray(open_image(path)).astype(int) - (200, 30, 30)).max() <= 8
    assert path.suffix in IMAGE_SUFFIXES


def test_a_format_that_is_not_on_the_list_is_not_decoded() -> None:
    with pytest.raises(ImageError, match="it is no image of the kinds JPEG, MPO, PNG"):
        decode_image(saved(Image.new("RGB", (4, 4)), "ICO"), "it")


def _turned(orientation: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return saved(Image.new("RGB", (64, 48)), kind, exif=exif)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_a_turned_picture_is_seen_upright_in_each_kind(kind: str) -> None:
    opened = decode(_turned(6, kind), "it")
    assert (opened.image.size, opened.size_px, opened.orientation) == ((48, 64), (48, 64), 6)


ORIENTATIONS = {  # EXIF's type, how many, the four bytes or the place of more, what stands at that place
    "text": (2, 9, b"\0\0\0\x1a", b"sideways\0"),
    "a digit as text": (2, 2, b"6\0\0\0", b""),
    "nearly 2^32": (4, 1, b"\xff\xff\xff\xff", b""),
    "2^32 over one": (10, 1, b"\0\0\0\x1a", b"\x80\0\0\0\0\0\0\1"),
    "infinite": (5, 1, b"\0\0\0\x1a", b"\0\0\0\1\0\0\0\0"),
    "nothing over nothing": (5, 1, b"\0\0\0\x1a", b"\0\0\0\0\0\0\0\0"),
    "an infinite float": (11, 1, b"\x7f\x80\0\0", b""),
    "bytes": (7, 1, b"\6\0\0\0", b""),
    "a place behind the end": (5, 1, b"\0\xff\xff\xff", b""),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of what is being tried here
@pytest.mark.parametrize("name", ORIENTATIONS)
def test_an_orientation_that_is_none_leaves_the_picture_as_it_is_stored(name: str, tmp_path: Path) -> None:
    kind, count, value, rest = ORIENTATIONS[name]
    entry = b"\x01\x12" + kind.to_bytes(2, "big") + count.to_bytes(4, "big") + value
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1" + entry + b"\0\0\0\0" + rest
    (tmp_path / "it.jpg").write_bytes(saved(Image.new("RGB", (64, 48)), "JPEG", exif=exif))
    facts = inspect_image(tmp_path / "it.jpg")
    assert (facts.defect, facts.width_px, facts.height_px) == (None, 64, 48)
    assert facts.exif_orientation == (1 if name == "a place behind the end" else 0)
    assert open_image(tmp_path / "it.jpg").size == (64, 48)


def test_a_damaged_exif_condemns_no_picture() -> None:
    opened = decode(saved(Image.new("RGB", (64, 48)), "PNG", exif=b"Exif\0\0nonsense, not a TIFF"), "it")
    assert (opened.image.size, opened.orientation) == ((64, 48), 0)


def _chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"tEXt", b"iCCP"])
@pytest.mark.parametrize("behind", [False, True])
def test_a_large_text_in_a_png_is_left_out_and_the_picture_is_read(
    name: bytes, behind: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("PIL.PngImagePlugin.MAX_TEXT_MEMORY", 1 << 20)  # of plain text Pillow takes 64 MiB
    packed = zlib.compress(b"x" * (2 << 20))
    body = {
        b"zTXt": b"key\0\0" + packed, b"iTXt": b"key\0\1\0\0\0" + packed, b"tEXt": b"key\0" + b"x" * (2 << 20),
        b"iCCP": b"key\0\0" + packed,
    }[name]  # fmt: skip
    chunk = _chunk(name, body)
    content = saved(Image.fromarray(GREY))
    place = len(content) - 12 if behind else 33  # before the end, or behind the head
    assert np.array_equal(pixels(content[:place] + chunk + content[place:])[..., 0], GREY)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    head = _chunk(b"IHDR", 2 * (20_000).to_bytes(4, "big") + b"\x01\0\0\0\0")
    content = b"\x89PNG\r\n\x1a\n" + head + saved(Image.new("1", (8, 8)))[33:]
    with pytest.raises(ImageError, match="at most 178956970 pixels") as refused:
        decode_image(content, "it")
    assert refused.value.defect == "too many pixels"
    with pytest.raises(ImageError, match="it has 64 x 48 px; at most 3000 pixels are decoded"):
        decode_image(saved(Image.new("RGB", (64, 48))), "it", most_pixels=3000)


@pytest.mark.parametrize("size", [(201, 1), (1, 201), (4021, 20)])
def test_a_picture_that_no_model_takes_is_refused_by_its_shape(size: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size).save(tmp_path / "thin.png")
    with pytest.raises(ImageError, match=r"thin\.png is \d+ x \d+ px: one side is over 200 times the other"):
        open_image(tmp_path / "thin.png")
    facts = inspect_image(tmp_path / "thin.png")
    assert (facts.width_px, facts.defect) == (size[0], "one side is over 200 times the other")


def test_a_pipe_and_an_endless_device_are_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "endless.jpg").symlink_to("/dev/zero")
    for name in ("pipe.jpg", "endless.jpg"):
        assert inspect_image(tmp_path / name).defect == "not a regular file"
        with pytest.raises(ImageError, match=f"{name} is no regular file"):
            open_image(tmp_path / name)
    assert inspect_image(tmp_path).defect == "missing"


def test_a_link_out_of_the_dataset_is_refused_unless_it_leads_into_dvcs_cache(tmp_path: Path) -> None:
    root, away = tmp_path / "root", tmp_path / "cache" / "files" / "md5" / "ab"
    root.mkdir()
    away.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "private.png")
    (away / ("c" * 30)).write_bytes((tmp_path / "private.png").read_bytes())
    (root / "out.png").symlink_to(tmp_path / "private.png")
    (root / "cached.png").symlink_to(away / ("c" * 30))
    (root / "own.png").symlink_to(root / "cached.png")
    with pytest.raises(ImageError, match=r"out\.png links out of .*root; copy the file into it"):
        open_image(root / "out.png", root)
    assert [open_image(root / name, root).size for name in ("cached.png", "own.png")] == [(8, 8), (8, 8)]
    paths = [tmp_path / "private.png", root / "out.png", root / "own.png"]
    with ImageCache(tmp_path / "images.sqlite") as cache:
        known = cache.facts(paths[:1], lambda new: map(inspect_image, new), tmp_path)
        again = cache.facts(paths[1:], lambda new: map(inspect_image, new), root)
    assert [facts.defect for facts in (*known, *again)] == [None, "links out of the dataset", None]
    assert again[0].sha256 is None


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200), st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"]), st.data())
def test_a_damaged_file_is_an_image_or_an_image_error(noise: bytes, kind: str, data: st.DataObject) -> None:
    content = saved(Image.fromarray(GREY), kind)
    place = data.draw(st.integers(0, len(content)))
    damaged = content[:place] + noise + content[place + len(noise) :]
    try:
        assert decode(damaged, "it").image.mode == "RGB"
    except ImageError as error:
        assert "it" in str(error)
