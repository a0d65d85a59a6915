"""Access logs, line by line: which format it is, and the calls in it, with constant memory."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from strangler.imports.excerpt import excerpt
from strangler.imports.json_formats import FIELDS, KNOWN_JSON, by_fields, decoded_object, field_names
from strangler.imports.request_lines import plain_host
from strangler.imports.source_bytes import MAX_LINE_BYTES, SourceState
from strangler.imports.text_formats import TEXT_FORMATS, Found, Parse
from strangler.imports.values import (
    FAULTS,
    ImportOptions,
    ImportRefusedError,
    LoggedCall,
    Summary,
    SummaryState,
    Unread,
)
from strangler.imports.w3c_format import extended

SAMPLE_LINES: Final = 1000
_PATIENCE: Final = 1000
"""The unreadable lines after which a log may be refused before its end."""

Numbered = Iterator[tuple[int, Found]]


class CallsState:
    """The calls of a file, to be iterated once, and the account of it, which is complete after that."""

    def __init__(self, format_name: str, source: SourceState, found: Numbered, unit: str = "line") -> None:
        self.format = format_name
        self._source = source
        self._found = found
        self._unit = unit
        self._state = SummaryState()

    @property
    def summary(self) -> Summary:
        """The account of what was read so far."""
        return self._state.summary(self.format, self._source.digest, self._source.is_cut)

    def __iter__(self) -> Iterator[LoggedCall]:
        """Yield the calls. Raises ImportRefusedError if most of the file cannot be read."""
        return (found for _, found in self.numbered() if isinstance(found, LoggedCall))

    def numbered(self) -> Numbered:
        """Yield the calls, and what is none, with their numbers. Raises ImportRefusedError, as the iteration does."""
        state = self._state
        for number, found in self._found:
            if isinstance(found, Unread):
                state.skip(found, number)
                yield number, found
                if found in FAULTS and state.faults() >= _PATIENCE and state.faults() > state.read:
                    raise self._refusal()
                continue
            state.read += 1
            at = found.at
            if at is not None:
                if state.first_at is None or at < state.first_at:
                    state.first_at = at
                if state.last_at is None or at > state.last_at:
                    state.last_at = at
            yield number, found
        if state.faults() > state.read:
            raise self._refusal()

    def _refusal(self) -> ImportRefusedError:
        state = self._state
        worst = max(FAULTS & state.counts.keys(), key=lambda reason: state.counts[reason])
        places = ", ".join(map(str, state.places[worst]))
        return ImportRefusedError(
            f"{self._source.name}: most {self._unit}s cannot be read as {self.format} ({state.faults()} of "
            f"{state.faults() + state.read}): {worst}, such as {self._unit} {places}. {WAY_OUT}"
        )


WAY_OUT: Final = (
    "Access logs that are known: common and combined (nginx, Apache), ours, Traefik, HAProxy, AWS load balancers, "
    "Envoy, Caddy, W3C extended (IIS, CloudFront); other JSON lines with "
    "`--fields time=when,method=verb,path=uri,status=code,caller=ua`."
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A format, with how many lines of a sample are calls in it, and how many are at least in order."""

    name: str
    parse: Parse
    calls: int
    in_order: int


def recognised(sample: list[bytes], options: ImportOptions) -> tuple[str, Parse] | None:
    """Return the format that fits most of the first lines, or None if none fits half of them."""
    best = _best(sample, options)
    return (best.name, best.parse) if best and best.calls and best.in_order * 2 >= len(sample) else None


def _best(sample: list[bytes], options: ImportOptions) -> _Candidate | None:
    texts = {} if options.fields else TEXT_FORMATS | {"W3C extended": extended}
    tried = [_tried(name, make(), sample) for name, make in texts.items()]
    if any(line.lstrip()[:1] == b"{" for line in sample):
        known = {} if options.fields else KNOWN_JSON
        tried += [_tried(name, make(), sample) for name, make in known.items()]
        names = _names(sample, options.fields)
        if "path" in names:
            tried.append(_tried("JSON lines", by_fields(names), sample))
    # of formats that read equally many, the first: what is known by all its fields comes before the guess by names
    return max(tried, key=lambda candidate: (candidate.calls, candidate.in_order), default=None)


def _tried(name: str, parse: Parse, sample: list[bytes]) -> _Candidate:
    found = [parse(line) for line in sample]
    return _Candidate(
        name,
        parse,
        sum(type(item) is LoggedCall for item in found),
        sum(type(item) is LoggedCall or item not in FAULTS for item in found),
    )


def _names(sample: list[bytes], fields: Mapping[str, str]) -> dict[str, str]:
    """Return the names of the fields of JSON lines, by the line of the sample that has most of them."""
    found = [field_names(line, fields) for line in json_objects(sample)]
    return max(found, key=len, default=dict(fields))


def json_objects(sample: list[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the lines that are JSON objects."""
    for line in sample:
        found = decoded_object(line)
        if found is not None:
            yield found


def numbered(parse: Parse, blocks: Iterable[tuple[list[bytes], bool]]) -> Numbered:
    """Yield what each line gives, with its number from 1; blank lines and comments (`#`) give nothing."""
    number = 0
    for lines, is_end in blocks:
        for line in lines:
            number += 1
            if len(line) > MAX_LINE_BYTES:
                yield number, Unread.TOO_LONG
                continue
            found = parse(line)
            if type(found) is not LoggedCall:
                if not line.strip() or line[:1] == b"#":
                    continue
                if is_end and found in FAULTS:
                    found = Unread.CUT
            yield number, found


def of_host(found: Numbered, host: str) -> Numbered:
    """Yield the same, but for calls that went to another host; a call whose line names none is kept."""
    wanted = plain_host(host.encode("utf-8", "replace"))
    for number, item in found:
        if isinstance(item, LoggedCall) and item.host and item.host != wanted:
            yield number, Unread.OTHER_HOST
        else:
            yield number, item


def parsed_fields(text: str) -> dict[str, str]:
    """Return the fields of `--fields time=when,path=http.uri`. Raises ImportRefusedError."""
    fields: dict[str, str] = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        what, mark, name = (part.strip() for part in entry.partition("="))
        if not mark or not name:
            raise ImportRefusedError(f"--fields: `{entry}` is not WHAT=NAME, as in `--fields time=when,path=uri`")
        if what not in FIELDS:
            near = get_close_matches(what, FIELDS, 1)
            known = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(FIELDS)}"
            raise ImportRefusedError(f"--fields: there is no `{what}`; {known}")
        if what in fields:
            raise ImportRefusedError(f"--fields: `{what}` is named twice")
        fields[what] = name
    return fields


def unknown(name: str, head: bytes, sample: list[bytes], options: ImportOptions) -> ImportRefusedError:
    """Return the error for a file that is no known log: its first line, and what to do."""
    best = _best(sample, options)
    near = ""
    if best and best.calls:
        near = f" The nearest is {best.name}: {best.calls} of the first {len(sample)} lines are in it."
    else:
        for line in json_objects(sample):
            return ImportRefusedError(f"{name}: {_json_hint(line, options)} {WAY_OUT}")
    first = next((line for line in sample if best is None or best.parse(line) in FAULTS), sample[0])
    number = head.split(b"\n").index(first) + 1
    return ImportRefusedError(f"{name}:{number}: `{excerpt(first)}` has no form that is known.{near} {WAY_OUT}")


def _json_hint(line: Mapping[str, Any], options: ImportOptions) -> str:
    if line.keys() >= {"log", "stream"}:
        return "these are lines of Docker's json-file driver: `jq -rj .log` takes the log out of them."
    missing = [f"{what}={name}" for what, name in options.fields.items() if name.split(".")[0] not in line]
    if missing:
        return f"the lines have no such field: {', '.join(missing)}; they have {_keys(line)}."
    return f"JSON lines without a field for the path among those that are usual; they have {_keys(line)}."


def _keys(line: Mapping[str, Any]) -> str:
    return excerpt(", ".join(sorted(line)).encode("utf-8", "replace")) or "none"
