"""The values of a recording, as docs/recordings.md has them: its header, and one pair a line."""

from collections.abc import Iterable
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from strangler.core.http.head import RawHeaders

VERSION: Final = 1
MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""The longest line that is written or read."""

Source: TypeAlias = Literal["proxy", "gor", "har", "log"]
Arm: TypeAlias = Literal["legacy", "candidate"]


class EncodedBytes(msgspec.Struct, frozen=True, gc=False):
    """Bytes that are no UTF-8, where a text would be otherwise; msgspec writes `bytes` as Base64."""

    base64: bytes


RawText: TypeAlias = str | EncodedBytes
"""Bytes of a request or a response: a text if they are UTF-8."""


def raw_text(data: bytes) -> RawText:
    """Return bytes as a recording has them."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return EncodedBytes(data)


def raw_bytes(text: RawText) -> bytes:
    """Return the bytes that `raw_text` was made of."""
    return text.encode("utf-8") if isinstance(text, str) else text.base64


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a recording."""

    recording: Annotated[int, msgspec.Meta(ge=1)] = VERSION
    """The version of the format."""
    made: str
    """RFC 3339."""
    by: str
    """The program: `strangler 0.1.0`."""
    source: Source
    from_: str = msgspec.field(name="from", default="")
    """The name of the file that was imported; empty for a recording of the proxy."""
    redacted: bool
    key: str | None = None
    """The id of the key that secrets were hashed with, 8 hex digits; null if nothing was."""


class RecordedBody(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A body: `text` if it is UTF-8, else `base64`; with `omitted` neither, since it was not kept."""

    text: str | None = None
    base64: bytes | None = None
    omitted: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """The bytes of a body that was not kept."""
    cut_from: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """The bytes of the whole body, if only its start was kept."""

    def __post_init__(self) -> None:
        if (self.text is not None) + (self.base64 is not None) + (self.omitted is not None) != 1:
            raise ValueError("a body has exactly one of text, base64 and omitted")

    @classmethod
    def of(cls, data: bytes, cut_from: int | None = None) -> "RecordedBody":
        """Return the body with these bytes. `cut_from`: the length of the whole, if they are its start only."""
        text = raw_text(data)
        if isinstance(text, str):
            return cls(text=text, cut_from=cut_from)
        return cls(base64=text.base64, cut_from=cut_from)

    @property
    def data(self) -> bytes | None:
        """The bytes that were kept; None if none were."""
        return self.base64 if self.text is None else self.text.encode("utf-8")

    @property
    def is_whole(self) -> bool:
        """True if all bytes of the body are here."""
        return self.omitted is None and self.cut_from is None


RecordedHeaders: TypeAlias = tuple[tuple[RawText, RawText], ...]
"""Names and values in the order in which they were sent, duplicates included."""


def recorded_headers(headers: Iterable[tuple[bytes, bytes]]) -> RecordedHeaders:
    """Return header fields as a recording has them."""
    return tuple((raw_text(name), raw_text(value)) for name, value in headers)


def raw_headers(headers: RecordedHeaders) -> RawHeaders:
    """Return the fields that `recorded_headers` was given."""
    return [(raw_bytes(name), raw_bytes(value)) for name, value in headers]


class RecordedRequest(msgspec.Struct, frozen=True):
    """A request. `body` is None if it had none."""

    method: str
    target: RawText
    headers: RecordedHeaders = ()
    body: RecordedBody | None = None


class RecordedResponse(msgspec.Struct, frozen=True):
    """A response. `body` is None if it had none, `ms` is the time until its end, None if that is unknown."""

    status: Annotated[int, msgspec.Meta(ge=100, le=999)]
    headers: RecordedHeaders = ()
    body: RecordedBody | None = None
    ms: Annotated[float, msgspec.Meta(ge=0)] | None = None


class RecordedPair(msgspec.Struct, frozen=True, kw_only=True):
    """A request, and the response to it; `response` is None if there was none, or none was recorded."""

    at: Annotated[float, msgspec.Meta(ge=-62_135_596_800, le=253_402_300_800)]
    """Unix time of the request, in the years 1 to 9999."""
    caller: str
    route: str | None = None
    arm: Arm | None = None
    """The arm that served it."""
    request: RecordedRequest
    response: RecordedResponse | None = None
