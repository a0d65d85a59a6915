"""The calls of a log, counted by endpoint and by how two files serve them, with bounded memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from strangler.core.given_templates import given_templates
from strangler.core.http.head import RequestHead
from strangler.core.ledger.callers import caller_of
from strangler.core.ledger.first_template import FirstTemplateMemo
from strangler.core.ledger.rows import ANY_METHOD, add_caller
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.ledger.word_classes import OVERFLOW
from strangler.core.moves.difference import kinds_of
from strangler.core.moves.serving import LOG_FIELDS, Serving, ServingsState, served_without_proxy
from strangler.core.moves.template_paths import narrower_templates, path_of
from strangler.core.moves.unknown import Assumption, Assumptions
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import RouteSettings, Settings

MAX_PENDING: Final = 20_000
"""The sums that are kept before they are given to the tree."""
MAX_ROWS: Final = 10_000
MAX_MISSED_ROWS: Final = MAX_ROWS // 2
"""The rows after which a path that nothing serves gets none: scanners must leave room for endpoints."""
_MAX_REMEMBERED: Final = 20_000
_MAX_METHODS: Final = 50
_NOTHING_THERE: Final = frozenset({404, 405})
"""The statuses of paths that nothing serves: scanners ask for them."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How the two files serve a call. `needs`: what the log does not have, and must have been so.

    Equal ones are one object, compared by identity: that saves 10 µs for a call with a new path.
    """

    before: Serving
    after: Serving
    needs: tuple[str, ...] = ()


@dataclass(slots=True)
class RowCounts:
    """The calls of an endpoint that the two files serve alike; `missed` are those of paths that nothing serves."""

    calls: int = 0
    missed: int = 0
    callers: dict[str, int] = field(default_factory=dict)

    def add(self, other: "RowCounts") -> None:
        self.calls += other.calls
        self.missed += other.missed
        for name, calls in other.callers.items():
            add_caller(self.callers, name, calls)


RowKey = tuple[str, str, Outcome]
"""The method, the template, and how such calls are served."""


@dataclass(frozen=True, slots=True)
class _Use:
    """The parts of a call that decide how it is served, beside its method and path."""

    query: bool
    host: bool
    user_agent: bool

    @classmethod
    def of(cls, routes: tuple[RouteSettings, ...]) -> "_Use":
        fields = {name for route in routes for name, _ in (*route.match.headers, *route.split.headers)}
        fields |= {source.name for route in routes for source in route.split.sticky if source.kind == "header"}
        fields |= {route.split.override or "" for route in routes}
        is_host = "host" in fields or any(route.match.host for route in routes)
        return cls(any(route.match.query for route in routes), is_host, "user-agent" in fields)


class CallCountsState:
    """Counts the calls of a log, or those that the ledger has counted (`has_rows_alone`).

    `before` is None where nothing stands before legacy yet; `now`: Unix time.
    """

    def __init__(
        self, before: Settings | None, after: Settings, now: float, host: str = "", has_rows_alone: bool = False
    ) -> None:
        own = () if before is None else before.routes
        known = frozenset[str]() if has_rows_alone else LOG_FIELDS
        self.rows: dict[RowKey, RowCounts] = {}
        self.calls = 0
        self.reached: set[str] = set()
        """The routes of `after` that calls come to."""
        self.possible: set[str] = set()
        """Those that calls may come to: the log does not have what their conditions ask for."""
        self._legacy = served_without_proxy(after)
        self._before = None if before is None else ServingsState(Snapshot(before, 0), now, known)
        self._after = ServingsState(Snapshot(after, 0), now, known)
        self._assumptions = Assumptions((*own, *after.routes), known, has_queries=not has_rows_alone)
        self._matches = tuple(dict.fromkeys(route.match for route in (*own, *after.routes)))
        self._use = _Use.of((*own, *after.routes))
        self.host = host
        self._tree = TemplateTreeState()
        _name_routes(self._tree, (*own, *after.routes))
        self._carried = self._tree.revision
        """The revision of the tree after which the rows have their templates."""
        self._memo = FirstTemplateMemo(words=self._tree.names.unusual)
        self._outcomes: dict[tuple[int, int, tuple[str, ...]], Outcome] = {}
        self._recent: dict[tuple[object, ...], tuple[str, tuple[Outcome, ...]]] = {}
        self._families: dict[str, str] = {}
        self._methods: set[str] = set()
        self._pending: dict[tuple[str, str, int], tuple[RowKey, RowCounts]] = {}

    def count(
        self,
        method: str,
        path: bytes,
        query: bytes = b"",
        host: str = "",
        user_agent: str = "",
        status: int | None = None,
    ) -> None:
        """Count a call. `path` and `query` are raw; `host` has no port."""
        self.calls += 1
        use = self._use
        key = (
            method,
            path,
            query if use.query or b"#" in query else b"",
            host if use.host else "",
            user_agent if use.user_agent else "",
        )
        found = self._recent.get(key)
        if found is None:
            if len(self._recent) >= _MAX_REMEMBERED:
                self._recent.clear()
            outcomes = self._outcomes_of(_head(method, path, query, host or self.host, user_agent))
            found = self._recent[key] = (self._memo.template_of(path), outcomes)
        caller = self._families.get(user_agent)
        if caller is None:
            if len(self._families) >= _MAX_REMEMBERED:
                self._families.clear()
            caller = self._families[user_agent] = caller_of(user_agent)
        self._add(method, found[0], found[1], caller, status in _NOTHING_THERE)

    def _add(self, method: str, first: str, outcomes: tuple[Outcome, ...], caller: str, is_missed: bool) -> None:
        for outcome in outcomes:
            by_id = (method, first, id(outcome))
            pending = self._pending.get(by_id)
            if pending is None:
                if len(self._pending) >= MAX_PENDING:
                    self._settle()
                pending = self._pending[by_id] = ((method, first, outcome), RowCounts())
            counts = pending[1]
            counts.calls += 1
            counts.missed += is_missed
            add_caller(counts.callers, caller, 1)

    def count_rows(self, rows: Iterable[tuple[str, str, int, Mapping[str, int]]]) -> None:
        """Count the calls of endpoints whose single calls are not known: method, template, calls, and callers.

        A route that covers a part of an endpoint's paths, as `/users/me` does of `/users/{}`, may get its calls, unless
        that part is an endpoint of its own.
        """
        found = list(rows)
        known = {row[:2] for row in found}
        for method, template, calls, callers in found:
            self.calls += calls
            head = self._head_of(method, template)
            outcomes = list(self._outcomes_of(head))
            for narrower in narrower_templates(template, self._matches):
                if (method, narrower) not in known:
                    outcomes += self._other_outcomes(
                        self._head_of(method, narrower), outcomes[0], (f"path {narrower}",)
                    )
            for outcome in dict.fromkeys(outcomes):
                self._row((method, template, outcome)).add(RowCounts(calls, 0, dict(callers)))

    def _head_of(self, method: str, template: str) -> RequestHead:
        return _head(method, *path_of(template), self.host, "")

    def _outcomes_of(self, head: RequestHead) -> tuple[Outcome, ...]:
        """Return how a call is served, and how else it may be, if it had what is not known of it."""
        after = self._after.serving_of(head)
        if after.route is not None:
            self.reached.add(after.route)
        plain = self._outcome(self._before_of(head), after)
        assumed = (self._assumed(head, assumption, plain, ()) for assumption in self._assumptions.of(head))
        return (plain, *(outcome for outcome in assumed if outcome is not None))

    def _other_outcomes(self, head: RequestHead, plain: Outcome, needs: tuple[str, ...]) -> list[Outcome]:
        """Return how calls may be served if they had this head, where that differs from how they are served."""
        assumptions = (Assumption(), *self._assumptions.of(head))
        found = (self._assumed(head, assumption, plain, needs) for assumption in assumptions)
        return [outcome for outcome in found if outcome is not None]

    def _assumed(
        self, head: RequestHead, assumption: Assumption, plain: Outcome, needs: tuple[str, ...]
    ) -> Outcome | None:
        assumed = assumption.applied(head)
        after = self._after.serving_of(assumed)
        before = self._before_of(assumed)
        if after.route is not None and after.route != plain.after.route:
            self.possible.add(after.route)
        if (before, after) == (plain.before, plain.after) or not kinds_of(before, after):
            return None
        return self._outcome(before, after, (*needs, *assumption.names))

    def _before_of(self, head: RequestHead) -> Serving:
        return self._legacy if self._before is None else self._before.serving_of(head)

    def _outcome(self, before: Serving, after: Serving, needs: tuple[str, ...] = ()) -> Outcome:
        return self._outcomes.setdefault((id(before), id(after), needs), Outcome(before, after, needs))

    def finish(self) -> dict[RowKey, RowCounts]:
        """Return the rows, with the templates that all calls together have taught."""
        self._settle()
        self._carry_over()
        return self.rows

    def _settle(self) -> None:
        """Give the sums to the tree and to the rows. Nothing is learned from paths that nothing serves."""
        pending, self._pending = list(self._pending.values()), {}
        sums: dict[RowKey, RowCounts] = {}  # most words of a long log are in folds already: one walk for all of them
        for (method, first, outcome), counts in pending:
            key = (method, self._tree.template_of_first(first), outcome)
            known = sums.get(key)
            if known is None:
                sums[key] = counts
            else:
                known.add(counts)
        for (method, template, outcome), counts in sums.items():
            served = counts.calls - counts.missed
            key = (method, self._tree.learn_first(template, 0 if outcome.needs else served), outcome)
            if not served and len(self.rows) >= MAX_MISSED_ROWS and key not in self.rows:
                key = (ANY_METHOD, OVERFLOW, outcome)
            self._row(key).add(counts)

    def _row(self, key: RowKey) -> RowCounts:
        row = self.rows.get(key)
        if row is not None:
            return row
        if len(self.rows) >= MAX_ROWS and self._tree.revision != self._carried:
            self._carry_over()
        if key[0] not in self._methods:
            if len(self._methods) >= _MAX_METHODS:
                key = (ANY_METHOD, *key[1:])
            else:
                self._methods.add(key[0])
        if len(self.rows) >= MAX_ROWS and key not in self.rows:
            key = (key[0], OVERFLOW, key[2])
        return self.rows.setdefault(key, RowCounts())

    def _carry_over(self) -> None:
        """Give the rows the templates that they now have, after folds."""
        self._carried = self._tree.revision
        former, self.rows = self.rows, {}
        for (method, template, outcome), counts in former.items():
            folded = template if template == OVERFLOW else self._tree.template_of_first(template)
            row = self.rows.get((method, folded, outcome))
            if row is None:
                self.rows[method, folded, outcome] = counts
            else:
                row.add(counts)


def _head(method: str, path: bytes, query: bytes, host: str, user_agent: str) -> RequestHead:
    """Return the head of a call as far as a log has it."""
    fields = {}
    if host:
        fields[b"host"] = host.encode("utf-8", "replace")
    if user_agent:
        fields[b"user-agent"] = user_agent.encode("utf-8", "replace")
    target = path + b"?" + query if query else path
    lower = host.lower().encode("utf-8", "replace")
    return RequestHead(method.encode("utf-8", "replace"), target, path, query or None, lower, fields, b"")


def _name_routes(tree: TemplateTreeState, routes: tuple[RouteSettings, ...]) -> None:
    """Give the tree the names that the operator gave: matches, and the templates of `fold`."""
    given = given_templates(routes)
    tree.name(given.whole)
    tree.name(given.prefixes, are_prefixes=True)
