"""What may be installed beside the rest, and changes a number where it is: the extra `ocr`."""

from __future__ import annotations

from importlib.util import find_spec

OCR_LIBRARIES = ("nltk", "jieba")
INSTALL = "pip install -c constraints.txt -e '.[ocr]'"


def has_ocr_extra() -> bool:
    """Whether nltk and jieba can be imported; one without the other counts as none."""
    return all(find_spec(name) is not None for name in OCR_LIBRARIES)
