"""Find tokens in a file: a report of a secret scanner, a log, or any other text."""

from __future__ import annotations

import codecs
from typing import IO, Final

from heliograph.errors import FileFormatError
from heliograph.tokens.stored import text

MAX_TOKENS: Final = 100_000
"""The number of different tokens that one file may have."""
CHUNK_BYTES: Final = 1024 * 1024

_TOKEN_LENGTH: Final = len(text.PREFIX) + text.ID_LENGTH + text.SECRET_LENGTH + text.CHECKSUM_LENGTH


def tokens_in(stream: IO[bytes]) -> list[str]:
    """Return the well-formed tokens in a file, each once, in their order.

    They are found wherever they are: one on each line, in the middle of one, or in JSON such as the payload that GitHub sends to
    partners. A text with a wrong checksum was never a token. Any encoding that contains ASCII is read, and UTF-16 with its mark,
    which PowerShell writes. The file is read in parts, whatever its size is.

    Raises:
        FileFormatError: There are more than `MAX_TOKENS` of them.
    """
    found: dict[str, None] = {}
    decoder, rest = None, ""
    while chunk := stream.read(CHUNK_BYTES):
        decoder = decoder or _decoder_for(chunk)
        part = rest + decoder.decode(chunk)
        matches = (match.group() for match in text.PATTERN.finditer(part))
        found.update((token, None) for token in matches if text.is_well_formed(token))
        if len(found) > MAX_TOKENS:
            raise FileFormatError(f"the file has more than {MAX_TOKENS} tokens; split it")
        rest = part[1 - _TOKEN_LENGTH :]  # it may begin a token
    return list(found)


def _decoder_for(beginning: bytes) -> codecs.IncrementalDecoder:
    is_utf_16 = beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return codecs.getincrementaldecoder("utf-16" if is_utf_16 else "latin-1")("replace")
