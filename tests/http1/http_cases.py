"""Writes docs/http-cases.md, the raw cases as a page to read: `python -m tests.http1.http_cases docs`.

Each row is a case of a table in this folder, which tests play at the proxy, and at nginx, HAProxy and Envoy where that
can be compared. A test holds the page fresh.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.http1 import envoy_cases, test_raw_connections, test_raw_framing, test_raw_requests, test_raw_responses
from tests.http1 import test_raw_routes as routes
from tests.http1.raw import Case, Refusal

_PEERS = ("nginx", "haproxy", "envoy")
_SAME = "the same"
_LONGEST_ID = 80

_HEAD = """\
# HTTP cases

How the proxy treats raw requests and responses, byte for byte, and what nginx, HAProxy and Envoy do with the same
bytes. The page is made from the tables of the tests (`python -m tests.http1.http_cases docs`): each row is a case that
the tests play at a running proxy, whole and, where the split is no part of the case, once more byte by byte.

- **case** is its name in the tables, [tests/http1](../tests/http1). `ECHO` stands in bytes of a request that must not
  come back in a refusal.
- **RFC** links to the section that the case is about.
- **here** is what this proxy does. *Passed on*: it arrives as it was sent, but for Connection and the fields that a
  proxy adds; what else differs is named. *Changed*: other bytes of the same meaning arrive. A status is a response of
  the proxy's own. *Closed*: the connection ends after it; no request that is refused has reached an upstream whole.
- **nginx**, **HAProxy**, **Envoy**: what the peer does otherwise, or *the same*, whatever status its refusal has. `–`:
  the case is about this proxy's settings, and was not compared. The peers are as transparent as they can be made, with
  [their defaults otherwise](../tests/http1/proxies.py). They were nginx 1.22, HAProxy 2.6 and Envoy 1.40.

What is forwarded although two of the three refuse it is in
[security](security.md#forwarded-where-others-refuse), with the reason.
"""


@dataclass(frozen=True, slots=True)
class Table:
    """The cases of one part of the page. `envoy` is what Envoy does otherwise; None: no peer was compared."""

    title: str
    cases: list[Case]
    envoy: dict[str, str] | None = None
    is_response: bool = False


def _compared(title: str, cases: list[Case]) -> Table:
    return Table(title, cases, envoy_cases.REQUESTS)


def _framed(title: str, cases: list[Case]) -> Table:
    return Table(title, cases, envoy_cases.FRAMING)


def _response(title: str, cases: list[Case]) -> Table:
    return Table(title, cases, envoy_cases.RESPONSES, is_response=True)


TABLES = (
    _compared("Methods", test_raw_requests.METHODS),
    _compared("Targets", test_raw_requests.TARGETS),
    _compared("Request fields", test_raw_requests.FIELDS),
    _compared("Fields of one hop", test_raw_requests.HOP_BY_HOP),
    _compared("Forwarded fields of a client", test_raw_requests.FORWARDED),
    Table("Forwarded fields of a trusted proxy", test_raw_requests.TRUSTED),
    _compared("Request bodies", test_raw_requests.BODIES),
    _compared("Expect", test_raw_requests.EXPECT),
    _compared("HTTP/1.0 clients", test_raw_requests.OLD_CLIENTS),
    _compared("Pipelining", test_raw_requests.PIPELINING),
    _compared("Responses before the end of the request", test_raw_requests.EARLY),
    _framed("Framing of requests", test_raw_framing.FRAMING),
    _framed("Chunks of requests", test_raw_framing.CHUNKS),
    _framed("Request lines and heads", test_raw_framing.HEADS),
    _framed("Host", test_raw_framing.HOSTS),
    _framed("Malformed requests behind a good one", test_raw_framing.BEHIND),
    Table("Limits", test_raw_connections.LIMITS),
    Table("Rewritten paths", routes.PATHS),
    Table("Paths that stay with legacy", routes.LEGACY),
    _response("Statuses", test_raw_responses.STATUSES),
    _response("Line ends of responses", test_raw_responses.LINE_ENDS),
    _response("Response fields", test_raw_responses.FIELDS),
    Table("Locations of a rewritten route", routes.LOCATIONS, is_response=True),
    _response("Response bodies", test_raw_responses.BODIES),
    _response("Responses that are cut short", test_raw_responses.CUT_SHORT),
    _response("Responses that are not trusted", test_raw_responses.UNTRUSTED),
)


def page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *map(_table, TABLES)])


def _table(table: Table) -> str:
    rows = "".join(_row(case, table) for case in table.cases)
    return f"## {table.title}\n\n| case | RFC | here | nginx | HAProxy | Envoy |\n|---|---|---|---|---|---|\n{rows}"


def _row(case: Case, table: Table) -> str:
    peers = ["–"] * len(_PEERS) if table.envoy is None else list(_peers(case, table.envoy))
    cells = (_code(case.id), _source(case.rfc), _outcome(case, table.is_response), *peers)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _peers(case: Case, envoy: dict[str, str]) -> Iterator[str]:
    differs = case.differs | ({"envoy": envoy[case.id]} if case.id in envoy else {})
    return (differs.get(peer, _SAME) for peer in _PEERS)


def _code(text: str) -> str:
    """Return a name as code, whatever signs are in it."""
    text = text if len(text) <= _LONGEST_ID else f"{text[:_LONGEST_ID]}…"
    plain = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    return f"`` {plain} ``" if "`" in plain else f"`{plain}`"


def _source(text: str) -> str:
    """Return `9112 6.3: a note` as a link to that section, with the note."""
    place, colon, note = text.partition(":")
    number, _, section = place.partition(" ")
    if number == "DESIGN":
        return f"[design {section}](design.md)"
    if not number.isdigit():
        return f"[{place}](https://www.w3.org/TR/{number})"
    link = f"[{number} {section}](https://www.rfc-editor.org/rfc/rfc{number}#section-{section})"
    return f"{link},{note}" if colon else link


def _outcome(case: Case, is_response: bool) -> str:
    """Return what this proxy does, in a few words."""
    statuses = [refusal.status for refusal in case.responses if isinstance(refusal, Refusal)]
    own = ", ".join(map(str, statuses))
    if is_response:
        return own or ("passed on as far as it came" if case.end == "cut" else "passed on")
    ends = ", closed" if case.end == "closed" else ""
    if not case.reaches:
        return f"{own}{ends}"
    way = _passage(case)
    if own:
        return f"the first passed on, then {own}{ends}" if len(case.responses) > len(statuses) else f"{way}, then {own}"
    return f"{way}{ends}"


def _passage(case: Case) -> str:
    """Return how a request gets to the upstream: as it was sent, or what of its head is another one there."""
    if b"".join(case.reaches) == case.sent:
        return "passed on"
    if len(case.reaches) > 1 or case.sent.startswith(b"\r\n"):
        return "changed"
    sent, reached = (_lines(data) for data in (case.sent, case.reaches[0]))
    left_out, put_in = _names(sent[1:], reached[1:]), _names(reached[1:], sent[1:])
    put_in |= {name: name for name in left_out if name.encode() in case.added}
    parts = (
        ("as", [reached[0].decode("latin-1")] if reached[0] != sent[0] else []),
        ("without", [left_out[name] for name in left_out if name not in put_in]),
        ("with another", [put_in[name] for name in put_in]),
    )
    changes = [f"{word} {', '.join(map(_code, names))}" for word, names in parts if names]
    return " ".join(["passed on", *changes])


def _lines(request: bytes) -> list[bytes]:
    """Return the lines of a head, without the field that every proxy takes away."""
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return [line for line in lines if not line.lower().startswith(b"connection:")]


def _names(lines: list[bytes], others: list[bytes]) -> dict[str, str]:
    """Return the fields of which one side has a line that the other has not, by their names in lower case."""
    names = [line.partition(b":")[0].decode("latin-1") for line in lines if line not in others]
    return {name.lower(): name for name in names}


def main(docs: Path) -> None:
    """Write the page into the folder of the docs."""
    (docs / "http-cases.md").write_text(page())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
