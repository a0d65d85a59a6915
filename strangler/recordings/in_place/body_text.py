"""Bytes as a text to search in, and the way back, which loses none of them."""

from collections.abc import Callable

from strangler.core.compare.model.media import Body, MediaType, text_of
from strangler.recordings.recorded import RawText, raw_text


def text_of_raw(value: RawText) -> tuple[str, Callable[[str], RawText]]:
    """Return bytes as a text to search in, and the way back, which loses none of them."""
    if isinstance(value, str):
        return value, lambda text: text
    return value.base64.decode("latin-1"), lambda text: raw_text(text.encode("latin-1"))


def text_of_body(data: bytes, media: MediaType | None, kind: Body) -> tuple[str, Callable[[str], bytes]] | None:
    """Return the text of a body, and the way back; None if its charset is unknown or writes it otherwise."""
    if kind is Body.FORM:
        text = data.decode("utf-8", "surrogateescape")
        return text, lambda changed: changed.encode("utf-8", "surrogateescape")
    found = text_of(data, media, kind)
    if found is None:
        return None
    named = media.charset if media else None
    for codec in ("utf-8", "utf-8-sig", named, "latin-1", "utf-16-le", "utf-16-be"):
        if codec is not None and (way := _way_back(data, found, codec)):
            return found, way
    return None


def _way_back(data: bytes, text: str, codec: str) -> Callable[[str], bytes] | None:
    try:
        written = text.encode(codec)
    except (UnicodeError, LookupError):
        return None
    return (lambda changed: changed.encode(codec)) if written == data else None
