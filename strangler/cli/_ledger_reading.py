"""Reading a file for the ledger: the endpoints of a list, or the calls of a log, summed up, as one request."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import msgspec

from strangler.cli._moves_document import counted
from strangler.core.documents import ImportedSum, LedgerImportRequest, LedgerRow
from strangler.core.given_templates import given_templates
from strangler.core.ledger.log_sums import MAX_METHOD, LogSumsState
from strangler.core.ledger.split_values import parse_split_key
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.ledger.word_classes import OVERFLOW
from strangler.core.settings import Settings
from strangler.core.time_buckets import BOUNDS_S
from strangler.imports.log_reading import CallsState
from strangler.imports.recognise import Listing, opened
from strangler.imports.values import ImportOptions, ImportRefusedError, Summary
from strangler.ledger.actions import MAX_PATH

MAX_REQUEST_BYTES: Final = 15 << 20
"""The most bytes of a request; the admin listener takes 16 MiB."""
_FUTURE_S: Final = 3600.0
"""How much later than now a call may be: clocks differ, and some logs write local times without a zone."""
_STDIN: Final = "-"
_GIVEN: Final = ("import", "route")
"""The sources of rows whose templates the operator gave."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that was read to its end. `notes`: what is not in the request, and why."""

    name: str
    request: LedgerImportRequest
    notes: list[str]

    @property
    def calls(self) -> int:
        return sum(each.calls for each in self.request.sums)

    @property
    def what(self) -> str:
        """Return `access.log (combined): 51 calls from 2026-11-20 to 2026-11-22`."""
        request = self.request
        if request.began is None or request.ended is None:
            return f"{self.name} ({request.format}): {counted(len(request.endpoints), 'endpoint')}"
        days = f"from {_day(request.began)} to {_day(request.ended)}"
        return f"{self.name} ({request.format}): {counted(self.calls, 'call')} {days}"


@dataclass(frozen=True, slots=True)
class FileReader:
    """The operator's words on the files, and all that the ledger knows already. `now`: Unix time."""

    options: ImportOptions
    settings: Settings | None
    rows: Sequence[LedgerRow]
    actor: str
    now: float
    max_bytes: int = MAX_REQUEST_BYTES

    def read(self, name: str, wrap: Callable[[IO[bytes]], IO[bytes]]) -> ReadFile:
        """Read a file, or standard input for `-`. Raises ImportRefusedError."""
        title = "standard input" if name == _STDIN else Path(name).name
        with opened(name, self.options, wrap) as found:
            if isinstance(found, Listing):
                return self._of_list(title, found)
            return self._of_log(title, found)

    def make_tree(self) -> TemplateTreeState:
        """Return a tree that has no words, only the names that the operator gave."""
        tree = TemplateTreeState()
        given = given_templates(() if self.settings is None else self.settings.routes)
        tree.name([row.path for row in self.rows if row.source in _GIVEN and row.path != OVERFLOW])
        tree.name(given.whole)
        tree.name(given.prefixes, are_prefixes=True)
        return tree

    def _of_list(self, title: str, found: Listing) -> ReadFile:
        endpoints = [(endpoint.method, endpoint.template) for endpoint in found.endpoints]
        kept = [each for each in endpoints if len(each[0]) <= MAX_METHOD and len(each[1]) <= MAX_PATH]
        long = len(endpoints) - len(kept)
        notes = [f"{counted(long, 'endpoint')} passed over: longer than {MAX_PATH} characters"] if long else []
        summary = found.summary
        request = LedgerImportRequest(summary.digest, title, summary.format, kept, [], None, None, self.actor)
        return ReadFile(title, request, [*summary.sentences(), *notes])

    def _of_log(self, title: str, calls: CallsState) -> ReadFile:
        by = () if self.settings is None or self.settings.ledger is None else self.settings.ledger.by
        counting = _CountingState(LogSumsState(self.make_tree, BOUNDS_S, [parse_split_key(text) for text in by]))
        counting.count(calls, self.now + _FUTURE_S)
        summary = calls.summary
        if counting.began is None:
            raise ImportRefusedError(_nothing(title, summary, counting))
        request = self._request(title, summary, counting)
        notes = [*summary.sentences(), *counting.sentences(), *_left_out(request.sums, counting.sums)]
        return ReadFile(title, request, [*notes, *self._callers_note()])

    def _request(self, title: str, summary: Summary, counting: "_CountingState") -> LedgerImportRequest:
        """Return the request; a log with too many sums for it has fewer of them."""
        while True:
            request = LedgerImportRequest(
                digest=summary.digest,
                name=title,
                format=summary.format,
                endpoints=[],
                sums=_sums(counting.sums),
                began=counting.began,
                ended=counting.ended,
                who=self.actor,
            )
            size = len(msgspec.json.encode(request))
            if size <= self.max_bytes:
                return request
            counting.sums.shrink(len(counting.sums.sums) * self.max_bytes // size * 9 // 10)

    def _callers_note(self) -> list[str]:
        ledger = None if self.settings is None else self.settings.ledger
        if ledger is None or ledger.callers == "user-agent":
            return []
        return [f"callers are the families of the User-Agents: a log does not have {ledger.callers} (ledger.callers)"]


@dataclass(slots=True)
class _CountingState:
    """The calls of a log that were counted, and how many could not be."""

    sums: LogSumsState
    began: float | None = None
    ended: float | None = None
    without_time: int = 0
    later: int = 0

    def count(self, calls: CallsState, latest: float) -> None:
        count, began, ended = self.sums.count, latest, 0.0
        for call in calls:
            at = call.at
            if at is None or at < 0:
                self.without_time += 1
                continue
            if at > latest:
                self.later += 1
                continue
            if at < began:
                began = at
            if at > ended:
                ended = at
            count(call.method, call.path, call.query, call.status or 0, call.caller, at, call.duration_s)
        if self.sums.calls:
            self.began, self.ended = began, ended

    def sentences(self) -> list[str]:
        found = []
        if self.without_time:
            found.append(
                f"{counted(self.without_time, 'call')} passed over: without a time, and calls count on their days"
            )
        if self.later:
            found.append(f"{counted(self.later, 'call')} passed over: later than now")
        return found


def _nothing(title: str, summary: Summary, counting: _CountingState) -> str:
    reasons = [*summary.sentences(), *counting.sentences()]
    return f"{title} ({summary.format}) has no call that counts" + (f": {'; '.join(reasons)}" if reasons else "")


def _sums(state: LogSumsState) -> list[ImportedSum]:
    """Return the sums in the order in which they are counted, with one example for each endpoint."""
    given: set[tuple[str, str]] = set()
    made = []
    for (method, template, status, caller, _), found in state.finish():
        endpoint = (method, template)
        example = "" if endpoint in given else state.example(method, template)
        given.add(endpoint)
        made.append(
            ImportedSum(method, template, status, caller, found.calls, round(found.at, 3), found.buckets, example)
        )
    return made


def _left_out(sums: Sequence[ImportedSum], state: LogSumsState) -> list[str]:
    """Return what had to be summed up, because there was no room for it."""
    refused = state.refused_left_out
    endpoints = sum(each.calls for each in sums if each.template == OVERFLOW) - refused
    callers = sum(each.calls for each in sums if each.caller == OVERFLOW and each.template != OVERFLOW)
    found = []
    if callers:
        found.append(f"{counted(callers, 'call')} of the rarest callers count under {OVERFLOW}: too many names")
    if state.is_by_month:
        found.append("the calls of a month count on its last day: there are too many days and endpoints")
    if refused:
        many = counted(refused, "call")
        found.append(f"{many} of paths that were only ever refused count under {OVERFLOW}: too many paths")
    if endpoints:
        found.append(f"{counted(endpoints, 'call')} of the rarest paths count under {OVERFLOW}: too many paths")
    return found


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


@dataclass(slots=True)
class PreviewState:
    """The endpoints that files would add, found without changing anything."""

    reader: FileReader
    endpoints: set[str] = field(default_factory=set)

    def new_endpoints(self, request: LedgerImportRequest) -> int:
        """Return how many endpoints a request adds to those known, as far as that can be told beforehand."""
        tree = self.reader.make_tree()
        tree.name([row.path for row in self.reader.rows if row.path != OVERFLOW])
        tree.name([template for _, template in request.endpoints])
        for each in request.sums:
            tree.learn_first(each.template, each.calls)
        known = {row.endpoint for row in self.reader.rows} | self.endpoints
        pairs = [*request.endpoints, *((each.method, each.template) for each in request.sums)]
        found = {f"{method} {tree.template_of_first(path)}" for method, path in pairs if path != OVERFLOW}
        self.endpoints |= found
        return len(found - known)
