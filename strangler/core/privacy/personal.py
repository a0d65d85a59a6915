"""Personal data known by its form: e-mail addresses, IBANs, and phone numbers with a country code.

Every search is linear in the text: a match begins at a short anchor, and its length is bounded.
"""

import re
from collections.abc import Container, Iterator

Span = tuple[int, int]
"""Start and end in a text."""

MAX_LOCAL = 64
"""Characters of the part before the `@` (RFC 5321 section 4.5.3.1.1)."""
MAX_DOMAIN = 253

_AT = re.compile(r"@|\uff20|%40|&#64;|&#x40;|&commat;|\\u0040", re.IGNORECASE)
_LOCAL_REVERSED = re.compile(r"\"[^\"\r\n]{1,62}\"|[\w.+\-%'~!#$^*{}|]{1,64}")
_DOMAIN = re.compile(
    r"(?:[^\W_](?:[\w\-]{0,61}[^\W_])?(?:\.|\u3002|%2E))+(?P<top>xn--[a-z0-9\-]{1,59}|[^\W\d_]{2,63})(?![\w\-])"
    r"|\[(?:IPv6:)?[0-9A-Fa-f.:]{3,45}\]",
    re.IGNORECASE,
)
_VERSION = re.compile(r"v?\d+\.\d+(?:\.\d+)?(?=[.\-+]|\Z)")
_FILES = frozenset(
    re.findall(
        r"\w+",
        "png jpg jpeg gif svg webp avif ico bmp css scss less js mjs cjs jsx ts tsx map json html htm xml pdf woff "
        "woff2 ttf otf eot php txt csv gz tgz yml yaml lock",
    )
)
"""Endings of file names (`image@2x.png`); none of these is a top-level domain."""


def email_spans(text: str) -> Iterator[Span]:
    """Yield e-mail addresses (RFC 5321, RFC 6531), the `@` as a character, percent-encoded, or as an entity."""
    for at in _AT.finditer(text):
        start = _local_start(text, at.start())
        domain = _DOMAIN.match(text, at.end(), at.end() + MAX_DOMAIN)
        if start is not None and domain is not None and not _is_file_or_version(domain):
            yield start, domain.end()


def _local_start(text: str, end: int) -> int | None:
    before = text[max(0, end - MAX_LOCAL) : end]
    found = _LOCAL_REVERSED.match(before[::-1])
    if found is None:
        return None
    start = end - found.end()
    start += 0 if text[start] == '"' else len(text[start:end]) - len(text[start:end].lstrip(".'%-"))
    is_mark = text[max(0, start - 9) : start] == "redacted:"
    return None if start == end or is_mark else start


def _is_file_or_version(domain: "re.Match[str]") -> bool:
    return (domain["top"] or "").lower() in _FILES or _VERSION.match(domain[0]) is not None


_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?=[A-Za-z0-9 \u00a0\-+%])")
_IBAN_GROUP = re.compile(r"(?:[ \u00a0\-+]|%20)?[A-Za-z0-9]{4}")
_IBAN_LAST = tuple(
    re.compile(r"(?:[ \u00a0\-+]|%20)?[A-Za-z0-9]{" + str(count) + "}" if count else "") for count in range(4)
)
_ALNUM = re.compile(r"[A-Za-z0-9]")
_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in re.findall(
        r"(\d+) ([A-Z ]+)",
        "15 NO|16 BE BI|18 DK FI FK FO GL NL SD|19 MK SI|20 AT BA EE KZ LT LU MN XK|21 CH HR LI LV|"
        "22 BG BH CR DE GB GE IE ME RS VA|23 AE GI IL IQ OM SO TL|24 AD CZ ES MD PK RO SA SE SK TN VG DZ|"
        "25 LY PT ST|26 IS TR|27 BF BJ CI CM DJ FR GF GP GR IR IT MC MG MQ MR NC PF PM RE SM TF WF YT BL MF|"
        "28 AL AZ BY CY DO GT HN HU LB ML NI PL SN SV MA|29 BR EG PS QA UA|30 JO KW MU|31 MT SC|32 LC|33 RU",
    )
    for country in countries.split()
}
"""Characters of an IBAN by country (the registry of ISO 13616, with the countries that only use the form)."""


def is_iban(plain: str) -> bool:
    """Return True for an IBAN without separators, of its country's length and with right check digits (ISO 7064)."""
    if len(plain) != _IBAN_LENGTHS.get(plain[:2].upper()) or not plain.isascii() or not plain.isalnum():
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def iban_spans(text: str) -> Iterator[Span]:
    """Yield IBANs, written without spaces or in groups of four."""
    for head in _IBAN.finditer(text):
        end = _iban_end(text, head)
        if end is not None:
            yield head.start(), end


def _iban_end(text: str, head: "re.Match[str]") -> int | None:
    length = _IBAN_LENGTHS.get(head[0][:2].upper())
    if length is None:
        return None
    plain, at = head[0], head.end()
    for group in [_IBAN_GROUP] * (length // 4 - 1) + [_IBAN_LAST[length % 4]]:
        found = group.match(text, at)
        if found is None:
            return None
        plain, at = plain + found[0][-min(4, length - len(plain)) :], found.end()
    if _ALNUM.match(text, at):
        return None
    return at if is_iban(plain) else None


_PHONE_DIGITS = range(8, 16)
"""Digits with the country code; ITU-T E.164 allows 15."""
_NATIONAL_11 = 11
"""Digits of each number with the country code 1 or 7, which is included."""
_GAP = r"(?:[ .\-/()\u00a0\u2009\u202f\u2010-\u2013]|%20|%2D|%28|%29|&nbsp;){0,3}"
_PHONE = re.compile(
    rf"(?:(?P<plus>(?<![\w+.,])\+(?:{_GAP})|\uff0b|&#43;|&plus;|\\u002[bB])|(?P<encoded>%2B)|(?P<zeros>(?<![\w.,\-:])00))"
    r"(?=[1-9])",
    re.IGNORECASE,
)
_DIGIT = re.compile(rf"{_GAP}([0-9])")
_FORM_DIGIT = re.compile(r"\+?([0-9])")
_DECIMAL = re.compile(r"[0-9]{1,3}\.[0-9]+(?![.0-9])")
"""A coordinate such as `+52.520008`: one dot after at most three digits, and no second dot right after."""
_GOES_ON = re.compile(r"\w|[.\-]\w")
_TEL = re.compile(
    r"\b(?:tel|sms|callto|fax):(?://)?(?P<number>(?:\+|%2B)?[0-9(](?:[ .\-()]|%20){0,3}"
    r"(?:[0-9](?:[ .\-()]|%20){0,3}){4,24})",
    re.IGNORECASE,
)


def phone_spans(text: str) -> Iterator[Span]:
    """Yield phone numbers with a country code (`+49 30 …`, `0049…`), and any number of a tel: URI (RFC 3966)."""
    for found in _PHONE.finditer(text):
        end = _phone_end(text, found)
        if end is not None:
            yield found.start(), end
    yield from (found.span("number") for found in _TEL.finditer(text))


def _phone_end(text: str, found: "re.Match[str]") -> int | None:
    """Return the end of the phone number that begins here: after the last group of digits that keeps a valid length."""
    start = found.end()
    if _DECIMAL.match(text, start):
        return None
    ends = [_last_end(text, start, digit) for digit in ((_DIGIT, _FORM_DIGIT) if found["encoded"] else (_DIGIT,))]
    end = max((end for end in ends if end is not None), default=None)
    return None if end is None or (found["zeros"] and _GOES_ON.match(text, end)) else end


def _last_end(text: str, start: int, digit: "re.Pattern[str]") -> int | None:
    """Return the last end of a group of digits with a valid length; `digit` matches one digit and separators before."""
    counts: Container[int] = (_NATIONAL_11,) if text[start] in "17" else _PHONE_DIGITS
    at, count, end = start, 0, None
    while count <= _PHONE_DIGITS[-1] and (found := digit.match(text, at)):
        at, count = found.end(), count + 1
        if count in counts and not text[at : at + 1].isdecimal():
            end = at
    return end


_SHORTEST = 5


def personal_spans(text: str) -> list[Span]:
    """Return all personal data in a text, in no order; they may overlap."""
    if len(text) < _SHORTEST:
        return []
    found = list(iban_spans(text)) if len(text) >= min(_IBAN_LENGTHS.values()) else []
    if "@" in text or "%40" in text or "\uff20" in text or "&" in text or "\\" in text:
        found += email_spans(text)
    if len(text) >= _PHONE_DIGITS[0]:
        found += phone_spans(text)
    return found
