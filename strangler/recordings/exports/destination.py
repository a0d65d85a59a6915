"""The host that exported requests go to: the one that the user names, never one of the recording."""

import re
from dataclasses import dataclass
from typing import Final

PLACEHOLDER: Final = "http://placeholder.invalid"
"""The host if none is named. Names below `.invalid` never resolve (RFC 6761, section 6.4)."""
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>(?:[A-Za-z0-9._\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?)/?",
    re.IGNORECASE,
)


class DestinationError(ValueError):
    """A URL that names no host to send to."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A scheme and an authority."""

    scheme: str
    authority: str

    @property
    def base(self) -> str:
        """The URL without a path."""
        return f"{self.scheme}://{self.authority}"

    @property
    def is_placeholder(self) -> bool:
        return self.base == PLACEHOLDER


def destination(url: str) -> Destination:
    """Read a URL such as `http://127.0.0.1:8080`. Raises DestinationError."""
    found = _URL.fullmatch(url)
    if found is None:
        raise DestinationError(f"{url!r} names no host; write scheme, host and port alone: http://127.0.0.1:8080")
    return Destination(found["scheme"].lower(), found["authority"])
