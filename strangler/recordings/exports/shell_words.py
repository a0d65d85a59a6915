"""Words of a POSIX shell for any bytes but NUL, and what writes bytes that are no text (POSIX.1-2017, XCU 2.2)."""

import re
from collections.abc import Iterator
from typing import Final

_PLAIN: Final = re.compile(rb"[A-Za-z0-9_./:@%+=,\-]+")
_OCTAL: Final = re.compile(rb"[^A-Za-z0-9 ._/:,;=&{}\[\]()<>\"!?#*$^|~@+]")
_PRINTF_BYTES: Final = 4096
"""The bytes that one `printf` writes: its argument stays far below every limit."""
_NAME: Final = re.compile(r"[^A-Z0-9]+")


def quoted(data: bytes) -> bytes:
    """Return a word for these bytes. Raises ValueError if a NUL is among them."""
    if b"\0" in data:
        raise ValueError("no word has a NUL")
    if _PLAIN.fullmatch(data):
        return data
    return b"'" + data.replace(b"'", b"'\\''") + b"'"


def printf_commands(data: bytes) -> Iterator[bytes]:
    """Yield commands that write these bytes to standard output; all that is not plain is an octal escape."""
    for start in range(0, len(data), _PRINTF_BYTES):
        piece = _OCTAL.sub(lambda found: b"\\%03o" % found[0][0], data[start : start + _PRINTF_BYTES])
        yield b"printf '" + piece + b"'"


def is_text(data: bytes) -> bool:
    """Return whether bytes can stand in a script for people to read: UTF-8 without control characters."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\n\t" for character in text)


def comment(text: str) -> bytes:
    """Return one line of a comment; what is not printable ASCII is escaped."""
    return b"# " + "".join(c if " " <= c <= "~" else ascii(c)[1:-1] for c in text).encode()


def variable(*parts: str) -> str:
    """Return the name of the variable that gives a secret. Its prefix keeps it apart from all others, such as PATH."""
    return "SECRET_" + _NAME.sub("_", "_".join(parts).upper()).strip("_")
