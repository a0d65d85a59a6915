"""Values that are handed in by hand: header fields for all callers, and others for some of them.

They are set in every request of a caller: a field takes the place of all recorded ones of its name, and those of a
caller go before those of all. The cookies of a Cookie field take the place of the recorded ones of their names alone.
They go before learned values, and are learned themselves for the mark of a secret that they replace (`replaced_marks`).

A place of a request, such as `body:password`, may stand for the name of a field: its value is put where there is the
mark of a secret at that place of which nothing was learned. The account of a replay names those places.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from strangler.core.http.head import RawHeaders
from strangler.core.http.headers import HOP_BY_HOP
from strangler.core.plain import plain_line
from strangler.core.privacy.secrets import MARK
from strangler.core.replaying.slots import cookie_slots

MAX_CALLERS = 100_000
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_FORBIDDEN = frozenset(name.decode() for name in HOP_BY_HOP) | {"content-length", "trailer"}
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ERRORS = "surrogateescape"

Fields = dict[str, tuple[str, str]]
"""Lower-case name of a field, or of a place, to name and value."""

EVERY_CALLER = "*"
"""The name of all callers."""
_PLACES = ("body:", "query:", "cookie:", "header:")


@dataclass(frozen=True, slots=True)
class GivenHeaders:
    """Header fields that are handed in."""

    for_all: Fields = field(default_factory=dict, repr=False)
    by_caller: Mapping[str, Fields] = field(default_factory=dict, repr=False)

    def of(self, caller: str) -> Fields:
        return {**self.for_all, **self.by_caller.get(EVERY_CALLER, {}), **self.by_caller.get(caller, {})}


PlaceOf = Callable[[str | None, str | None], str]
"""Returns the place of a caller and of a field of it in the file of `--callers`; None: that of all of it."""


def _no_place(_caller: str | None, _name: str | None) -> str:
    return "--callers"


def read_given(
    options: Iterable[str], document: object, place_of: PlaceOf | None = None
) -> tuple[GivenHeaders, list[str]]:
    """Return what is handed in, and all that is wrong with it.

    `options` are the values of `--header`, `document` is the YAML of `--callers` as loaded, None if there is none.
    `place_of` names the places in that file, in front of what is wrong.
    """
    problems: list[str] = []
    for_all: Fields = {}
    for option in options:
        name, colon, value = option.partition(":")
        if not colon:
            problems.append(f"--header {plain_line(name.strip())!r}: write it as 'Name: value'")
            continue
        problem = _problem(name.strip(), value.strip()) or _repeated(name.strip(), for_all)
        if problem:
            problems.append(f"--header {plain_line(name.strip())!r}: {problem}")
        else:
            for_all[name.strip().lower()] = name.strip(), value.strip()
    return GivenHeaders(for_all, _by_caller(document, place_of or _no_place, problems)), problems


def _by_caller(document: object, place_of: PlaceOf, problems: list[str]) -> dict[str, Fields]:
    if document is None:
        return {}
    if not isinstance(document, dict):
        problems.append(f"{place_of(None, None)}: the file must be a mapping, CALLER: {{Header: value}}")
        return {}
    if len(document) > MAX_CALLERS:
        problems.append(f"{place_of(None, None)}: {len(document)} callers; at most {MAX_CALLERS} are read")
        return {}
    found: dict[str, Fields] = {}
    for caller, headers in document.items():
        if not isinstance(caller, str):
            problems.append(f"{place_of(None, None)}: the caller {caller!r} is no text; write it in quotes")
        elif not isinstance(headers, dict):
            problems.append(f"{place_of(caller, None)}: {plain_line(caller)!r}: must be a mapping, {{Header: value}}")
        else:
            found[caller] = _fields(caller, headers, place_of, problems)
    return found


def _fields(caller: str, headers: dict[object, object], place_of: PlaceOf, problems: list[str]) -> Fields:
    found: Fields = {}
    for name, value in headers.items():
        problem = _problem(name, value) or _repeated(str(name), found)
        if problem:
            place = f"{place_of(caller, str(name))}: {plain_line(caller)!r}: {plain_line(str(name))!r}"
            problems.append(f"{place}: {problem}")
        else:
            found[str(name).lower()] = str(name), str(value).strip()
    return found


def _problem(name: object, value: object) -> str | None:
    """Return what is wrong with a field; the value, which may be a secret, is not repeated."""
    if isinstance(name, str) and ":" in name:
        if not name.lower().startswith(_PLACES):
            return "this is no place of a request; write it as the account of a replay has it, such as body:password"
    elif not isinstance(name, str) or not _NAME.fullmatch(name):
        return "this is no name of a header field"
    if name.lower() in _FORBIDDEN:
        return "this field belongs to the connection and cannot be set"
    if not isinstance(value, str):
        return f"the value must be a text, not {type(value).__name__}; write it in quotes"
    if _CONTROL.search(value.strip()):
        return "the value has a line break or another control character"
    if MARK.search(value):
        return "the value is the mark of a redacted secret; write the secret itself"
    return None if value.strip() else "the value is empty"


def _repeated(name: str, fields: Fields) -> str | None:
    return "the field is given twice" if name.lower() in fields else None


def values_of_places(given: Fields) -> dict[str, str]:
    """Return the values that are handed in for places, by their lower-case names."""
    return {name: value for name, (_, value) in given.items() if ":" in name}


def with_given(headers: RawHeaders, given: Fields) -> RawHeaders:
    """Return the fields of a request with those that are handed in, each where the first of its name stood."""
    waiting = {name: field for name, field in given.items() if ":" not in name}
    result: RawHeaders = []
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        if name not in given:
            result.append((raw_name, raw_value))
        elif name == "cookie":
            result += [(raw_name, cookies)] if (cookies := _other_cookies(raw_value, given[name][1])) else []
        elif name in waiting:
            result.append((raw_name, waiting.pop(name)[1].encode("utf-8", _ERRORS)))
    if "cookie" in waiting:
        _add_cookies(result, *waiting.pop("cookie"))
    return [*result, *((name.encode(), value.encode("utf-8", _ERRORS)) for name, value in waiting.values())]


def _other_cookies(recorded: bytes, given: str) -> bytes:
    """Return a recorded Cookie field without the cookies that are handed in."""
    text = recorded.decode("utf-8", _ERRORS)
    names = {slot.place for slot in cookie_slots(given)}
    slots = list(cookie_slots(text))
    if not any(slot.place in names for slot in slots):
        return recorded
    kept = [text[slot.outer[0] : slot.outer[1]] for slot in slots if slot.place not in names and slot.outer is not None]
    return "; ".join(kept).encode("utf-8", _ERRORS)


def _add_cookies(headers: RawHeaders, name: str, cookies: str) -> None:
    for at, (raw_name, raw_value) in enumerate(headers):
        if raw_name.lower() == b"cookie":
            headers[at] = raw_name, raw_value + b"; " + cookies.encode("utf-8", _ERRORS)
            return
    headers.append((name.encode(), cookies.encode("utf-8", _ERRORS)))


def replaced_marks(headers: RawHeaders, given: Fields) -> Iterator[tuple[str, str]]:
    """Yield the recorded values with marks of secrets that are handed in, each with what takes its place."""
    for raw_name, raw_value in headers:
        name, text = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", _ERRORS)
        if name not in given or not MARK.search(text):
            continue
        if name != "cookie":
            yield text, given[name][1]
            continue
        new = {slot.place: slot.value for slot in cookie_slots(given[name][1])}
        for slot in cookie_slots(text):
            value = new.get(slot.place)
            if slot.value and value and MARK.search(slot.value):
                yield slot.value, value
