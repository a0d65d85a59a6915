"""The marks of redacted secrets in bytes of any format, Base64 included, whose places no other encoding moves."""

import base64
import re
from collections.abc import Iterator
from typing import Final

EQUAL_MARK: Final = "redacted:00000000"
"""The text that all marks become where they cannot be compared."""
_MARK: Final = re.compile(r"redacted:[0-9a-f]{8}")
"""A mark as it was set; a word may go on right behind it."""
_RUN: Final = re.compile(r"[A-Za-z0-9+/_\-]{23,}")
"""A run of digits that may be Base64 with a mark in it: 17 bytes are 23 digits, which no encoding of a text escapes."""
_URL_SAFE: Final = str.maketrans("-_", "+/")


def holds_mark(data: bytes) -> bool:
    """Return True if bytes have a mark in them; those of UTF-16 and UTF-32 have zeros between its letters."""
    text = data.replace(b"\0", b"").decode("latin-1")
    return _MARK.search(text) is not None or any(True for _ in _equal_runs(text))


def with_equal_marks(text: str) -> str:
    """Return a text in which all marks are `EQUAL_MARK`, those within Base64 too."""
    pieces, done = [], 0
    for start, run in _equal_runs(text):
        pieces += [text[done:start], run]
        done = start + len(run)
    return _MARK.sub(EQUAL_MARK, "".join([*pieces, text[done:]]))


def _equal_runs(text: str) -> Iterator[tuple[int, str]]:
    """Yield the runs of Base64 that have marks in them, with these made equal, and their places."""
    for found in _RUN.finditer(text):
        for skipped in range(4):
            run = _equal_run(found[0][skipped:])
            if run is not None:
                yield found.start(), found[0][:skipped] + run
                break


def _equal_run(digits: str) -> str | None:
    """Return digits of Base64 with the marks in them made equal; None if there are none. Its start is that of a byte.

    Its end may be that of no byte, since an escaped digit may follow: it is kept to the bit.
    """
    plain = base64.b64decode(digits.translate(_URL_SAFE) + "A" * (-len(digits) % 4)).decode("latin-1")
    if _MARK.search(plain) is None and not any(True for _ in _equal_runs(plain)):
        return None
    written = base64.b64encode(with_equal_marks(plain).encode("latin-1")).decode()[: len(digits)]
    return written.translate(str.maketrans("+/", "-_")) if "-" in digits or "_" in digits else written
