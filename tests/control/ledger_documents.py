"""Documents of the ledger for tests, made short: `row("GET /orders/{}", state="quiet", legacy=5)`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from strangler.core.documents import (
    LedgerCaller,
    LedgerCalls,
    LedgerDay,
    LedgerDocument,
    LedgerEndpointDocument,
    LedgerEvidence,
    LedgerHistoryDocument,
    LedgerRow,
    LedgerStep,
    LedgerTimes,
)
from strangler.ledger.ledger_queries import Filters

DAY_S = 86_400.0


def row(
    endpoint: str,
    *,
    state: str = "legacy",
    legacy: int = 0,
    candidate: int = 0,
    p95: tuple[float | None, float | None] = (None, None),
    callers: Sequence[LedgerCaller] = (),
    **more: Any,
) -> LedgerRow:
    method, _, path = endpoint.partition(" ")
    fields: dict[str, Any] = {
        "route": None,
        "statuses": {},
        "probes": 0,
        "first_seen": None,
        "last_seen": None,
        "last_legacy": None,
        "example": "",
        "source": "traffic",
        "owner": None,
        "is_ignored": False,
    }
    return LedgerRow(
        endpoint=endpoint,
        method=method,
        path=path,
        state=state,
        calls=LedgerCalls(legacy, candidate),
        callers=list(callers),
        p95_ms=LedgerTimes(*p95),
        **(fields | more),
    )


def caller(name: str, calls: int = 1, legacy: int = 0, last_legacy: str | None = None, **more: Any) -> LedgerCaller:
    return LedgerCaller(name, calls, legacy, last_legacy, **more)


def document(*rows: LedgerRow, share: float = 0.25, quiet_s: float = 30 * DAY_S, **more: Any) -> LedgerDocument:
    fields: dict[str, Any] = {"since": None, "watched_since": None, "watched_s": 0.0, "left_out": 0, "sampled": 0}
    return LedgerDocument(
        rows=list(rows),
        share=share,
        states=dict(Counter(each.state for each in rows if not each.is_ignored)),
        quiet_s=quiet_s,
        keep_s=400 * DAY_S,
        **(fields | more),
    )


def day(
    name: str, legacy: int = 0, candidate: int = 0, probes: int = 0, statuses: Mapping[str, int] | None = None
) -> LedgerDay:
    return LedgerDay(name, legacy, candidate, probes, dict(statuses or {}))


def endpoint(
    of: LedgerRow,
    days: Sequence[LedgerDay] = (),
    months: Sequence[LedgerDay] = (),
    *,
    text: str = "Wait.",
    command: str | None = None,
    block: str | None = None,
    evidence: LedgerEvidence | None = None,
    folded: Sequence[str] = (),
    deletable_at: str | None = None,
) -> LedgerEndpointDocument:
    step = LedgerStep(text, command, block)
    return LedgerEndpointDocument(of, list(days), list(months), deletable_at, evidence, step, list(folded))


@dataclass(slots=True)
class FixedLedger:
    """A ledger that says what a test wants it to."""

    found: LedgerDocument = field(default_factory=document)
    endpoints: Mapping[str, LedgerEndpointDocument] = field(default_factory=dict)
    course: LedgerHistoryDocument = field(default_factory=lambda: LedgerHistoryDocument([], []))
    reads: int = 0
    changes: list[tuple[str, ...]] = field(default_factory=list)
    problem: str | None = None

    def document(self, filters: Filters) -> LedgerDocument:
        self.reads += 1
        rows = [each for each in self.found.rows if filters.route in (None, each.route) and _has(each, filters.text)]
        return replace(self.found, rows=rows)

    def history(self) -> LedgerHistoryDocument:
        return self.course

    async def endpoint(self, endpoint: str) -> LedgerEndpointDocument | None:
        return self.endpoints.get(endpoint)

    def status(self) -> None:
        """Return nothing: the pages of this ledger do not need its status."""

    async def close(self) -> None:
        """Do nothing: it has no store."""

    async def fold(self, endpoint: str) -> str:
        return self._change("fold", endpoint)

    async def unfold(self, endpoint: str) -> str:
        return self._change("unfold", endpoint)

    async def ignore(self, endpoint: str) -> str:
        return self._change("ignore", endpoint)

    async def own(self, endpoint: str, name: str) -> str:
        return self._change("own", endpoint, name)

    def _change(self, *change: str) -> str:
        self.changes.append(change)
        return " ".join(change)


def _has(of: LedgerRow, text: str) -> bool:
    names = (of.endpoint, of.owner or "", *(each.name for each in of.callers))
    return any(text.casefold() in name.casefold() for name in names)
