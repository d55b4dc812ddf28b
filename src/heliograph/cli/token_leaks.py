"""Find tokens in a file: a report of a secret scanner, a log, or any other text."""

from __future__ import annotations

import codecs
from typing import IO, Final

from heliograph.errors import FileFormatError
from heliograph.tokens.stored import token_text

MAX_TOKENS: Final = 100_000
"""The number of different tokens that one file may have."""
CHUNK_BYTES: Final = 1024 * 1024

_TOKEN_LENGTH: Final = (
    len(token_text.PREFIX) + token_text.ID_LENGTH + token_text.SECRET_LENGTH + token_text.CHECKSUM_LENGTH
)


def tokens_in(stream: IO[bytes]) -> list[str]:
    """Return the well-formed tokens in a file, each once, in their order.

    They may be anywhere: on lines of their own, in the middle of a line, or in JSON such as the payload that GitHub sends to
    partners. A text with a wrong checksum is not a token. The file may have any encoding that contains ASCII, or UTF-16 with a byte
    order mark, which PowerShell writes. It is read in parts, so it may be larger than the memory.

    Raises:
        FileFormatError: There are more than `MAX_TOKENS` of them.
    """
    found: dict[str, None] = {}
    decoder, rest = None, ""
    while chunk := stream.read(CHUNK_BYTES):
        decoder = decoder or _decoder_for(chunk)
        part = rest + decoder.decode(chunk)
        matches = (match.group() for match in token_text.PATTERN.finditer(part))
        found.update((token, None) for token in matches if token_text.is_well_formed(token))
        if len(found) > MAX_TOKENS:
            raise FileFormatError(f"the file has more than {MAX_TOKENS} tokens; split it")
        # The end of this part may be the beginning of a token that ends in the next part.
        rest = part[1 - _TOKEN_LENGTH :]
    return list(found)


def _decoder_for(beginning: bytes) -> codecs.IncrementalDecoder:
    is_utf_16 = beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return codecs.getincrementaldecoder("utf-16" if is_utf_16 else "latin-1")("replace")
