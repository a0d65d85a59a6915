# Compiled with mypyc: see docs/hot-path.md.
"""Values known by their form alone: numbers, UUIDs, ULIDs, hashes, dates, e-mail addresses, codes, tokens.

This runs in a worker, for each path that it has not met lately; nothing here depends on other paths.
"""

import re

_PLAIN = (
    r"[+-]?\d+(?:[.,:][+-]?\d+)*"  # numbers, coordinates, times
    r"|\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?"  # UUID
    r"|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}"  # MAC address
    r"|[0-9a-f]{32,}"  # hash
    r"|(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,}"  # short hash, ObjectId: digits and letters
    r"|(?=[a-f]*\d)(?=\d*[a-f])(?![a-f]+\d{1,3}\Z)[0-9a-f]{6}"  # colour, very short hash
    r"|0x[0-9a-f]{4,}"
    r"|(?=[0-9a-z]*\d)[0-7][0-9a-hjkmnp-tv-z]{25}"  # ULID
)
_PLAIN_VALUE = re.compile(_PLAIN, re.ASCII | re.IGNORECASE)
_VALUE = re.compile(
    _PLAIN + r"|\d{4}[-_.]\d\d?(?:[-_.]\d\d?(?:[t_ ][\d:.,]+(?:z|[+-]\d\d:?\d\d)?)?)?"  # date, date and time
    r"|\d{4}-?(?:w\d\d|q[1-4])"  # week, quarter
    r"|v?\d+(?:\.\d+){1,3}[-._+]?(?:alpha|beta|dev|pre|rc|snapshot)[-._]?\d*"  # version before its release
    r"|(?=(?:[\w-]*?\d){3})[\w-]{20,}={0,2}"  # long, with digits
    r"|[a-z0-9+/_-]{6,}={1,2}"  # Base64, padded
    r"|ey[a-z0-9_-]{6,}(?:\.[a-z0-9_-]*){1,4}"  # JSON Web Token
    r"|[a-z]{1,16}[-_]?\d{4,}"  # user12345, ord-12345
    r"|[a-z]{1,12}[-_]\d{3}"  # ord-123
    r"|[a-z]{1,16}[-_](?=[a-f]*\d)[0-9a-f]{8,}"  # app-29c587b5e4
    r"|\d{3,}[-_][^/]+"  # 123-blue-shoes
    r"|[^/]+[-_][a-z]{0,2}\d{4,}"  # blue-shoes-12345
    r"|(?:urn|arn|did):[^/]+"
    r"|[^@/\s]+@[^@/\s]+\.[a-z]{2,}",  # e-mail address
    re.ASCII | re.IGNORECASE,
)
_SECRET = re.compile(
    r"[0-9a-f]{32,}|[a-z0-9+/_-]{6,}={1,2}|ey[a-z0-9_-]{6,}(?:\.[a-z0-9_-]*){1,4}", re.ASCII | re.IGNORECASE
)
_LOWER_WORD = re.compile(r"(?<![^\W_])[a-z]{2,}(?![^\W_])", re.ASCII)
_VERSION = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}\.\d{1,2}", re.ASCII)
_NUMBERED = re.compile(r"([A-Za-z]+[-_]?)\d{1,3}", re.ASCII)
_CODE = re.compile(r"(?=[0-9._-]*[A-Z])(?=(?:\D*\d){2})[A-Z0-9]+(?:[-_.][A-Z0-9]+)*", re.ASCII)
_LETTER_CODE = re.compile(r"[A-Z]\d{2,4}", re.ASCII)
_PIECE = re.compile(r"[A-Za-z0-9]+", re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)
_CHANGES = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])", re.ASCII)
_RUN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", re.ASCII)
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}", re.IGNORECASE)
_SHARD = re.compile(r"[0-9a-f]{2}", re.ASCII)
_TOKEN = re.compile(r"[\w-]+", re.ASCII)
_VOWELS = re.compile(r"[aeiouy]", re.IGNORECASE)
_MEAN_RUNS = ((20, 3.2, 2.6), (16, 2.9, 2.5), (8, 2.7, 2.2), (0, 1.9, 1.4))
"""By the least length of a text: runs of letters or digits shorter than this on average are random; the first number
is for texts with digits, the second for others."""
_LONG = 16
"""The shortest text of letters alone that may be a random token."""
MAX_WORD = 64
"""The longest segment, in characters, that may be a word."""


def is_value(text: str) -> bool:
    """Return True if a decoded segment, or a part of one, is a value whatever stands beside it."""
    if len(text) > MAX_WORD or not text.isprintable() or any(char in text for char in "/{}\ufffd"):
        return True
    if text.isalpha() and len(text) < _LONG:
        return False
    if _VALUE.fullmatch(text):
        return True
    if _is_random(text) or _LETTER_CODE.fullmatch(text):
        return True
    return _CODE.fullmatch(text) is not None and not _NUMBERED.fullmatch(text)


def is_plain_value(text: str) -> bool:
    """Return True if a text is a number, UUID, hash or ULID and nothing else, such as the whole name of a picture."""
    return _PLAIN_VALUE.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Return True for `2010-04-01` and `1.1`, which name an API's version in some places, and are values elsewhere."""
    return _VERSION.fullmatch(text) is not None


def _is_random(text: str) -> bool:
    """Return True if letters, digits and cases change so often that nobody has written the text."""
    if any(len(piece) >= 6 and len(_CHANGES.findall(piece)) >= 3 for piece in _PIECE.findall(text)):
        return True
    if len(text) < 6 or not _TOKEN.fullmatch(text):
        return False
    if not text.islower() and not text.isupper():
        with_digits, without = next(limits for length, *limits in _MEAN_RUNS if len(text) >= length)
        return _has_short_runs(text, with_digits if _DIGITS.search(text) else without)
    return text.isalnum() and len(text) >= _LONG and 6 * len(_VOWELS.findall(text)) < len(text)


def _has_short_runs(text: str, most: float) -> bool:
    """Return True if the runs of a text (`OAuth2Callback`: `O`, `Auth`, `2`, `Callback`) are short on average."""
    runs = _RUN.findall(text)
    return len(runs) >= 3 and sum(map(len, runs)) < most * len(runs)


def is_token(text: str) -> bool:
    """Return True if a text may be a key: a long hash, Base64, a JSON Web Token, or random letters and digits."""
    if _SECRET.fullmatch(text):
        return True
    if len(text) < 8 or is_plain_value(text) or len(_LOWER_WORD.findall(text)) >= 3:
        return False
    return _is_random(text) or (len(text) >= 20 and is_value(text))


def is_odd(text: str) -> bool:
    """Return True if a word looks a little like a value, as `UIGwakoPKThx`, `PXMUGC` and the folder `4a`: it is one if
    others beside it are."""
    if _SHARD.fullmatch(text):
        return True
    if len(text) < 5 or not _TOKEN.fullmatch(text) or (text.islower() and not _DIGITS.search(text)):
        return False
    return text.isupper() or _has_short_runs(text, 3.4) or _CONSONANTS.search(text) is not None


def numbered_prefix(text: str) -> str | None:
    """Return `step` of `step1`, `page-` of `page-12`: a word with a short number, which may be a word or a value."""
    found = _NUMBERED.fullmatch(text)
    return found[1] if found else None
