"""Readers of one written value. Every function takes the text of a scalar and raises ValueError with the way out.

YAML's own idea of types is never used: `no`, `1_000`, `12:30` and `1.10` arrive here as they were written.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches

from strangler.core.compare.accept_rules.css import parse_css
from strangler.core.compare.accept_rules.jsonpath import parse_pattern
from strangler.core.compare.accept_rules.xmlpath import parse_xml_path
from strangler.core.compare.model.templates import parse_endpoint_path, parse_template, write_endpoint_path
from strangler.core.fault import Fault


def words(text: str) -> frozenset[str]:
    """Return the words of a text: a long set that is easy to read."""
    return frozenset(text.split())


TRUE = frozenset({"true", "yes", "on"})
FALSE = frozenset({"false", "no", "off"})
UPSTREAM_FAULTS = (Fault.CONNECT, Fault.RESET, Fault.TIMEOUT, Fault.BAD_RESPONSE)
ATTEMPT_FAULTS = (*UPSTREAM_FAULTS, Fault.OPEN, Fault.FULL)
# All methods that llhttp knows, without CONNECT and TRACE, which the proxy itself rejects with 405.
METHODS = words(
    "GET HEAD POST PUT PATCH DELETE OPTIONS QUERY COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND"
    " UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE MKCALENDAR LINK UNLINK"
    " SOURCE"
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

TOKEN_PATTERN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # noqa: S105  (RFC 9110 section 5.6.2, not a secret)

_TOKEN = re.compile(TOKEN_PATTERN)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean 'orders'?`, or an empty text if no known name is close."""
    names = list(known)
    near = get_close_matches(word, names, n=1, cutoff=0.6) or get_close_matches(
        word.lower(), [n for n in names if n == n.lower()], n=1, cutoff=0.6
    )
    return f"did you mean '{near[0]}'?" if near else ""


def listed(names: Iterable[object]) -> str:
    """Return `a, b or c`."""
    words = [str(name) for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def boolean(text: str) -> bool:
    """Read `true`, `yes`, `on`, `false`, `no` or `off`, in any case."""
    word = text.lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError("write true or false")


def rule_value(text: str) -> str:
    """Read a value that an accept rule names: JSON, or any other text, which may be empty."""
    if _CONTROL.search(text):
        raise ValueError("it cannot hold line ends or control characters; write them as JSON does, such as '\"a\\nb\"'")
    return text


def day(text: str) -> str:
    """Read an ISO date."""
    try:
        return date.fromisoformat(text).isoformat() if len(text) == 10 else _no_day()
    except ValueError:
        return _no_day()


def _no_day() -> str:
    raise ValueError("write a date as year-month-day, such as 2027-01-31")


def choice(*words: str) -> Callable[[str], str]:
    """Return a reader that takes one of the words."""
    known = frozenset(words)

    def read(text: str) -> str:
        if text in known:
            return text
        raise ValueError("; ".join(filter(None, [f"write {listed(words)}", did_you_mean(text, words)])))

    return read


def fault_or_status(faults: tuple[Fault, ...]) -> Callable[[str], str | int]:
    """Return a reader of the name of a fault, or of a status from 400 to 599."""
    names = tuple(str(fault) for fault in faults)

    def read(text: str) -> str | int:
        if text in names:
            return text
        if re.fullmatch("[45][0-9][0-9]", text):
            return int(text)
        if re.fullmatch("[0-9]xx", text.lower()):
            raise ValueError("write each status by itself, such as 502, 503, 504")
        way_out = f"write {', '.join(names)} or a status from 400 to 599"
        raise ValueError("; ".join(filter(None, [way_out, did_you_mean(text, names)])))

    return read


def status(text: str) -> int:
    """Read a status that a response may have, from 100 to 599."""
    if re.fullmatch("[1-5][0-9][0-9]", text) is None:
        raise ValueError("write two statuses, legacy's and the candidate's, such as [302, 303]")
    return int(text)


def endpoint(text: str) -> str:
    """Return `POST /api/orders/{}` for `POST /api/orders/{id}`."""
    name, _, path = text.strip().partition(" ")
    return f"{method(name)} {parse_endpoint_path(path.strip())}"


def written_endpoint(name: str) -> str:
    """Return the text that `endpoint` reads as this name: `GET /my file` -> `GET /my%20file`."""
    word, blank, path = name.partition(" ")
    return word + blank + write_endpoint_path(path)


def path_template(text: str) -> str:
    """Return `/shops/{}/{...}` for `/shops/{name}/{...}`."""
    return parse_template(text).text


def file_mode(text: str) -> int:
    """Return the permissions of a file."""
    if re.fullmatch(r"0?[0-7]{3}", text) is None:
        raise ValueError('write three octal digits, such as "0660"')
    return int(text, 8)


def redirect_port(text: str) -> int:
    """Return the port that requests are redirected to: `https` is 443, `https:8443` another one."""
    found = re.fullmatch(r"https(?::(\d{1,5}))?", text)
    port = 443 if found is None or found[1] is None else int(found[1])
    if found is None or not 0 < port < 1 << 16:
        raise ValueError("write https, or https: and a port, such as https:8443")
    return port


def method(text: str) -> str:
    """Return a method in upper case, if the proxy lets it through."""
    word = text.upper()
    if word in METHODS:
        return word
    if word in {"CONNECT", "TRACE"}:
        raise ValueError("the proxy itself rejects CONNECT and TRACE with 405")
    raise ValueError("; ".join(filter(None, ["write a method such as GET or POST", did_you_mean(word, METHODS)])))


def header_name(text: str) -> str:
    """Read a field name (RFC 9110 section 5.1), as written."""
    if _TOKEN.fullmatch(text) is None:
        raise ValueError("a header's name has letters, digits and - only, such as X-User-Id")
    return text


def header_value(text: str) -> str:
    """Read a field value (RFC 9110 section 5.5): no control characters, no space around it."""
    if _CONTROL.search(text):
        raise ValueError("a header's value cannot hold line ends or control characters")
    if text != text.strip(" \t"):
        raise ValueError("a header's value has no space around it on the wire; take it out")
    if not text.isascii():
        raise ValueError("a header's value is ASCII on the wire; encode other characters")
    return text


def bearer_token(text: str) -> str:
    """Read a secret that goes into a header (RFC 6750 section 2.1). A line end after it is left out."""
    token = text.rstrip("\r\n")
    if not token:
        raise ValueError("it is empty; write a text")
    if any(not "!" <= character <= "~" for character in token):
        raise ValueError("a token goes into a header: write only ASCII letters, digits and signs, without blanks")
    return token


def line(text: str) -> str:
    """Read a text on one line that is not empty."""
    if not text.strip():
        raise ValueError("it is empty; write a text")
    if _CONTROL.search(text):
        raise ValueError("it cannot hold line ends or control characters")
    return text


def json_path(text: str) -> str:
    """Read a JSON path of a comparison rule, checked by the parser that will read it."""
    try:
        parse_pattern(text)
    except ValueError as error:
        raise ValueError(str(error).rpartition("; ")[2]) from None
    return text


def body_path(text: str) -> str:
    """Read a path of an accept rule: into JSON (`$.total`), or into XML (`/feed/title`)."""
    if text.startswith("$"):
        return json_path(text)
    if not text.startswith("/"):
        raise ValueError("write a JSON path such as $.total, or a path into XML such as /feed/title")
    try:
        parse_xml_path(text)
    except ValueError as error:
        raise ValueError(str(error).rpartition("; ")[2]) from None
    return text


def selector(text: str) -> str:
    """Read the `css` of an accept rule: `SELECTOR`, `SELECTOR::text` or `SELECTOR::attr(name)`."""
    try:
        parse_css(text)
    except ValueError as error:
        raise ValueError(str(error).rpartition("; ")[2]) from None
    return text.strip()


def redaction(text: str) -> str:
    """Read `header:NAME` or a JSON path."""
    kind, colon, name = text.partition(":")
    if kind == "header" and colon:
        return f"header:{header_name(name.strip()).lower()}"
    if not text.startswith("$"):
        raise ValueError("write a JSON path such as $..email, or header:NAME")
    return json_path(text)


def is_decimal(text: str) -> bool:
    """True for text that people would call a number."""
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
