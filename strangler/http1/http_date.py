# Compiled with mypyc: see docs/hot-path.md.
"""The Date field of the proxy's own responses."""

import time
from email.utils import formatdate


class _Date:
    """The Date field of the proxy's own responses (RFC 9110 section 5.6.7), made once a second."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = 0
        self._text = b""

    def at(self, unix_s: int) -> bytes:
        if unix_s != self._second:
            self._second = unix_s
            self._text = formatdate(unix_s, usegmt=True).encode()
        return self._text


_date = _Date()


def http_date() -> bytes:
    """Return the Date field for a response of the proxy's own."""
    return _date.at(int(time.time()))
