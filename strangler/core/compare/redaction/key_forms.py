"""Keys that are values: with `evidence: {values: hashed}` none of them may be kept."""

import re

_ID = re.compile(
    r"[+-]?\d+(?:\.\d+)?"  # number
    r"|[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}"  # UUID
    r"|[0-9a-f]{32,}"  # hash
    r"|(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}"  # short hash: digits and letters
    r"|\d{4}-\d\d(?:-\d\d(?:t[\d:.]+z?)?)?"  # date
    r"|(?=[0-9a-z]*\d)[0-7][0-9a-hjkmnp-tv-z]{25}"  # ULID
    r"|(?=(?:[\w-]*?\d){3})[\w-]{20,}={0,2}"  # other tokens: long, with digits
    r"|[a-z]{1,12}[-_]\d{2,}"  # ord-1234
    r"|[\w.+-]+@[\w.-]+",  # e-mail address
    re.ASCII | re.IGNORECASE,
)


def is_id(text: str) -> bool:
    """Return True if a text is an id: a number, UUID, hash, date, long token, or such as `ord-1234`.

    The forms are those of keys. Names of differences depend on them, so they stay as they are.
    """
    return _ID.fullmatch(text) is not None
