"""Lists of routes as text: `METHOD /path`, and the tables that frameworks print.

Rails (`rails routes`, its expanded form, and as comments), Flask (`flask routes`), Django (`show_urls`), Laravel, and
any table in which a method stands before a path.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from strangler.imports.excerpt import excerpt
from strangler.imports.route_documents import listed
from strangler.imports.values import FAULTS, ListedEndpoint, SummaryState, Unread

_NAMES: Final = (
    r"GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT|LINK|UNLINK|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK|"
    r"REPORT|QUERY|PURGE|SEARCH|ANY|ALL"
)
_METHODS: Final = rf"(?:{_NAMES})(?:(?:\||, ?|/)(?:{_NAMES}))*|\*"
_WORDS: Final = rf"^[\s|]*(?:(?!(?:{_NAMES})[\s|])(?:[A-Za-z_][\w.:-]*|\d{{1,5}}[.)]?)\s[\s|]*){{0,2}}"
"""A name, a host or a number before the method."""
_NO_LOG: Final = r"(?=\s|$)(?!\s+\d{3}(?:\s|$))"
"""A status behind the path would say that it is a line of a log."""
_METHOD_FIRST: Final = re.compile(rf"{_WORDS}({_METHODS})[\s|]+((?:\(?/|\^|https?://)[^\s=]*){_NO_LOG}")
_LARAVEL: Final = re.compile(rf"^[\s|]*({_METHODS})[\s|]+(?!/)([\w{{}}.:?*-][^\s|]*)\s*(?:\.{{2,}}|\||$)")
_PATH_FIRST: Final = re.compile(rf"^[\s|]*(/[^\s|]*)(?:[\s|]+({_METHODS}))?(?=[\s|]|$)")
_VERBLESS: Final = re.compile(r"^\s*(?:\w+\s+)?(/\S*|\(/\S*)\s+(\S+)")
_RAILS_HEADER: Final = re.compile(r"Prefix\s+Verb\s+URI Pattern|Verb\s+URI Pattern")
_ROUTES_FOR: Final = re.compile(r"^\s*Routes for (\w+(?:::\w+)*):?\s*$")
_EXPANDED: Final = re.compile(r"^\s*(Verb|URI|Prefix|Controller#Action|Source Location)\s*\|\s*(.*?)\s*$")
_RULED: Final = re.compile(r"^[\s|+=─━┄┈~-]*(?:\[ Route \d+ \][\s|+=─━-]*)?$")
_HEADERS: Final = re.compile(
    r"^\W*(?:Endpoint|Domain|Host|Methods?|Verb|Rule|Prefix|URL|URI|Path|Route|Map:|Found \d+ unused|== Route Map|"
    r"Routes for|Showing \[|\d+ endpoints? registered)",
    re.IGNORECASE,
)
_DETAILS: Final = re.compile(r"^\s+(?:Controller|URL Name|Decorators?):|^\s*⇂")


@dataclass(slots=True)
class _TableState:
    """The meaning that earlier lines of a table give to later ones."""

    is_rails: bool = False
    is_commented: bool = False
    prefix: str = ""
    mounts: dict[str, str] = field(default_factory=dict)
    unlisted: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Mounted engines whose own routes have not come yet: path and line."""
    verb: str = ""


def endpoints(data: bytes, state: SummaryState) -> Iterator[ListedEndpoint]:
    """Yield the endpoints of a list; lines that name none are counted, but for blank ones, comments and headers."""
    table = _TableState(is_commented=bool(re.search(rb"^#.*(?:Route Map|Verb +URI Pattern)", data, re.MULTILINE)))
    for number, raw in enumerate(data.split(b"\n"), start=1):
        line = raw.rstrip(b"\r")[:8192].decode("utf-8", "replace")
        if table.is_commented and line.startswith("#"):
            line = line[1:]
        stripped = line.strip()
        if not stripped or stripped.startswith(("#", "//", ";")) or _RULED.match(line):
            continue
        found = list(_line(line, number, table, state))
        if found:
            state.read += len(found)
            yield from found
    for path, number in table.unlisted.values():
        for endpoint in listed(["*"], path.rstrip("/") + "/{...}", number, state):
            state.read += 1
            yield endpoint


def _line(line: str, number: int, table: _TableState, state: SummaryState) -> Iterator[ListedEndpoint]:
    if _RAILS_HEADER.search(line):
        table.is_rails = True
        return
    section = _ROUTES_FOR.match(line)
    if section:
        table.prefix = table.mounts.get(section[1], "")
        table.unlisted.pop(section[1], None)
        table.is_rails = True
        return
    expanded = _EXPANDED.match(line)
    if expanded:
        yield from _expanded(expanded[1], expanded[2], number, table, state)
        return
    if found := _METHOD_FIRST.search(line):
        yield from listed(_split(found[1]), table.prefix + found[2], number, state)
    elif table.is_rails and (found := _VERBLESS.match(line)):
        if found[2][:1].isupper() or found[2].startswith("#<"):
            yield from _mounted(found[1], found[2], number, table, state)
        else:
            yield from listed(["*"], table.prefix + found[1], number, state)
    elif found := _PATH_FIRST.match(line):
        yield from listed(_split(found[2] or "*"), table.prefix + found[1], number, state)
    elif found := _LARAVEL.match(line):
        yield from listed(_split(found[1]), "/" + found[2], number, state)
    elif not _HEADERS.match(line) and not _DETAILS.match(line):
        state.skip(Unread.BAD_FORM, number)


def _expanded(name: str, value: str, number: int, table: _TableState, state: SummaryState) -> Iterator[ListedEndpoint]:
    """Read a line of `rails routes --expanded`."""
    if name == "Verb":
        table.verb = value
    elif name == "URI":
        yield from listed(_split(table.verb or "*"), table.prefix + value.split(" ")[0], number, state)


def _mounted(path: str, engine: str, number: int, table: _TableState, state: SummaryState) -> Iterator[ListedEndpoint]:
    """Read a mounted engine: its root, and what is below it unless its own routes follow."""
    at = (table.prefix + path).rstrip("/")
    if at and engine not in table.mounts:
        table.mounts[engine] = at
        table.unlisted[engine] = at, number
    yield from listed(["*"], at or "/", number, state)


def _split(methods: str) -> list[str]:
    return [method for method in re.split(r"[|,/ ]+", methods) if method]


def share_of_routes(sample: list[bytes]) -> float:
    """Return the share of the first lines that name an endpoint, or may stand in a list; 0 if none names one."""
    state = SummaryState()
    count = sum(1 for _ in endpoints(b"\n".join(sample), state))
    return count / (count + state.faults()) if count else 0.0


def first_unread(data: bytes, state: SummaryState) -> tuple[int, str]:
    """Return the first line that could not be read: its number and an excerpt."""
    number = min(places[0] for reason, places in state.places.items() if reason in FAULTS)
    return number, excerpt(data.split(b"\n")[number - 1])
