"""The one way from tokens to text: for rewards, predict, the served model and vLLM alike.

Special tokens are left out: a policy may write them (Qwen2-VL does, `<|box_start|>`), and what earns in training is
to be readable in evaluation. It travels with each registered model: little is imported.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Characters = tuple[int, int]
"""First character of a token in the text, and one behind its last."""


def text_of(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> str:
    """What a completion says."""
    return str(tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def characters_of(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int], text: str) -> list[Characters] | None:
    """Where each token stands in `text`, which is text_of the same tokens; None where that cannot be told.

    By bytes, as byte-level BPE writes them: a token that is a part of a character has that character, a special token
    has an empty range. A tokenizer of another kind does not give `text` back by this, and then nobody knows.
    """
    skipped = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces: list[str] = []
    ranges: list[Characters] = []
    done = 0
    for number, token in zip(tokens, tokenizer.convert_ids_to_tokens(list(tokens)), strict=True):
        if token is None:  # an id beyond the vocabulary: models pad their embeddings
            return None
        piece = "" if number in skipped else decoder.decode(_bytes_of(token))
        begun = bool(decoder.getstate()[0])  # a character of which more bytes are to come
        pieces.append(piece)
        ranges.append((done, done) if number in skipped else (done, done + len(piece) + begun))
        done += len(piece)
    pieces.append(decoder.decode(b"", final=True))
    return ranges if "".join(pieces) == text else None


def _bytes_of(token: str) -> bytes:
    """The bytes that a token of byte-level BPE stands for; an added token stands for its own letters."""
    try:
        return bytes(_BYTES[letter] for letter in token)
    except KeyError:
        return token.encode()


def _byte_letters() -> dict[str, int]:
    """GPT-2's table: a printable byte is its own letter, the others are the letters from 256 on, in their order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = _byte_letters()
