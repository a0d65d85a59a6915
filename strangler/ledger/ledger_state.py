"""All that the ledger knows: endpoints and their calls, learned templates, and the times in which calls were watched.

Control owns one and keeps it in the store; commands read it there. Times are Unix times, given by the caller.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from strangler.core.given_templates import given_templates
from strangler.core.ledger.counts import hour_of
from strangler.core.ledger.named_templates import NamedTemplates, named_segments
from strangler.core.ledger.rows import ANY_METHOD, MAX_ROWS, CallSum, EndpointRow, LedgerRowsState, is_refusal
from strangler.core.ledger.segments import joined_segments
from strangler.core.ledger.states import WatchState
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.ledger.word_classes import OVERFLOW
from strangler.core.routing.arm import LEGACY_ARM
from strangler.core.settings import RouteSettings, Settings

MAX_ROUTE_ROWS = MAX_ROWS // 2
"""The rows after which routes that nobody has called yet get none."""
MAX_HOURS = 14 * 24
"""The hours of which the calls are kept by hour."""
MAX_IMPORTS = 1000
"""The imported files whose digests are remembered."""
MAX_INSTANCES = 1000
FORGET_INSTANCE_S = 86_400.0
"""How long the last batch of a worker is remembered after it came: far longer than a worker waits to send it again."""


@dataclass(frozen=True, slots=True)
class EndpointSum:
    """Calls that are alike, as a worker or an imported log has them. `template` is a first template."""

    method: str
    template: str
    example: str
    calls: CallSum


@dataclass(slots=True)
class LastBatch:
    """The number of the last batch that a worker sent, and when."""

    number: int
    at: float


@dataclass(slots=True)
class GivenNames:
    """The templates that the operator gave, in three ways. They win over what is learned."""

    listed: list[str] = field(default_factory=list)
    """Those of imported lists."""
    folded: list[str] = field(default_factory=list)
    """Those of `strangler ledger fold`."""
    of_routes: list[str] = field(default_factory=list)
    """Exact matches and `fold` of routes."""
    prefixes: list[str] = field(default_factory=list)
    """Prefixes of routes: what follows them is learned."""


@dataclass(slots=True)
class LedgerState:
    """The ledger. `rows` remembers what has changed since it was last saved."""

    tree: TemplateTreeState = field(default_factory=TemplateTreeState)
    rows: LedgerRowsState = field(default_factory=LedgerRowsState)
    watch: WatchState = field(default_factory=WatchState)
    names: GivenNames = field(default_factory=GivenNames)
    imports: dict[str, str] = field(default_factory=dict)
    """The names of imported files by their digests."""
    batches: dict[str, LastBatch] = field(default_factory=dict)
    """By the instance of a worker."""
    sampled: int = 0
    """The calls that were too many at a time, and were estimated."""
    hours: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The calls of legacy and of the candidates by hour, but for those of passthrough routes."""
    stored: set[str] = field(default_factory=set, repr=False)
    """The names of the rows that the store has."""
    meta: dict[str, bytes] = field(default_factory=dict, repr=False)
    """The other content that the store has, by its name."""
    keeps_examples: bool = True
    """Whether rows keep a path as it was called: not with `evidence: {values: hashed}`."""
    has_imported_watch: bool = False
    """Whether an import has added to the times that were watched, and the store does not have that yet."""
    stored_tree: tuple[int, int] = (-1, -1)
    """The revision of the tree that the store has, and its calls."""
    _passthroughs: frozenset[str] = frozenset()
    _carried: int = 0
    """The revision of the tree after which the rows have their templates."""
    _named: tuple[tuple[str, ...], ...] = ()
    """The names that the tree has."""

    def restore(self, rows: Iterable[EndpointRow], left_out: int) -> None:
        """Take over stored rows, whose templates are those of the tree."""
        self.rows.restore(rows)
        self.rows.left_out = left_out
        self._carried = self.tree.revision

    @property
    def left_out(self) -> int:
        """The calls of endpoints that no row had room for."""
        return self.rows.left_out

    @property
    def ignored(self) -> frozenset[str]:
        """The endpoints that the operator has hidden."""
        return frozenset(name for name, row in self.rows.rows.items() if row.is_ignored)

    def find(self, endpoint: str) -> EndpointRow | None:
        """Return the row of an endpoint: `GET /orders/{}`, `GET /orders/{id}`, or a call of it, `GET /orders/7`."""
        found = self.rows.rows.get(endpoint.strip())
        if found is not None:
            return found
        method, _, path = endpoint.strip().partition(" ")
        path = path.strip()
        template = joined_segments(named_segments(path))
        for way in (template, self.tree.template_of_first(template), self._template_of(path)):
            found = self.rows.rows.get(f"{method.upper()} {way}")
            if found is not None:
                return found
        return None

    def _template_of(self, path: str) -> str:
        return self.tree.template_of(path.encode("utf-8", "surrogateescape"))

    # What comes in

    def take(
        self, instance: str, number: int, sums: Sequence[EndpointSum], sampled_from: int, quiet_s: float, now: float
    ) -> bool:
        """Count a worker's batch; return False if it came before, and was sent again because the worker cannot know."""
        is_new = self.begin_batch(instance, number, sampled_from, now)
        if is_new:
            self.count(sums, quiet_s)
        return is_new

    def begin_batch(self, instance: str, number: int, sampled_from: int, now: float) -> bool:
        """Note that a batch is counted, which is up to the caller; return False if it came before."""
        last = self.batches.get(instance)
        if last is not None and number <= last.number:
            return False
        self.batches[instance] = LastBatch(number, now)
        self.sampled += sampled_from
        return True

    def count(self, sums: Sequence[EndpointSum], quiet_s: float) -> None:
        """Learn from calls, and count them at the rows of their endpoints."""
        for each in sums:
            calls = each.calls
            is_probe = not calls.arm or is_refusal(each.method, calls.status)
            if each.template != OVERFLOW:
                self.tree.learn_first(each.template, calls.calls, is_probe)
        self.follow_folds()
        for each in sums:
            is_left_out = each.template == OVERFLOW
            template = OVERFLOW if is_left_out else self.tree.template_of_first(each.template)
            example = each.example if self.keeps_examples else ""
            if self.rows.record(each.method, template, each.calls, quiet_s, example):
                self._count_hour(each.calls)

    def _count_hour(self, calls: CallSum) -> None:
        if not calls.arm or calls.route in self._passthroughs:
            return
        hour = hour_of(calls.at)
        legacy, candidate = self.hours.get(hour, (0, 0))
        is_legacy = calls.arm == LEGACY_ARM
        self.hours[hour] = legacy + calls.calls * is_legacy, candidate + calls.calls * (not is_legacy)
        while len(self.hours) > MAX_HOURS:
            del self.hours[min(self.hours)]

    def follow_folds(self) -> int:
        """Give the rows the templates that they have now; return how many have moved."""
        if self.tree.revision == self._carried:
            return 0
        self._carried = self.tree.revision
        return self.rows.carry_over(self.tree.template_of_first)

    def forget_instances(self, now: float) -> None:
        """Forget the batches of workers that are gone for long."""
        kept = [(name, last) for name, last in self.batches.items() if now - last.at < FORGET_INSTANCE_S]
        kept.sort(key=lambda item: item[1].at)
        if len(kept) < len(self.batches) or len(kept) > MAX_INSTANCES:
            self.batches = dict(kept[-MAX_INSTANCES:])

    # What the operator gives

    def adopt(self, settings: Settings, now: float) -> None:
        """Follow new settings: matches of routes are names of templates, and exact ones are rows before any call."""
        routes = settings.routes
        self._passthroughs = frozenset(route.name for route in routes if route.is_passthrough)
        self.keeps_examples = settings.evidence.values == "shown"
        given = given_templates(routes)
        self.names.of_routes, self.names.prefixes = given.whole, given.prefixes
        self.apply_names()
        self._list_routes(routes, now)

    def apply_names(self) -> int:
        """Give the tree the names as they are now; return how many rows have moved."""
        names = self.names
        wanted = tuple(map(tuple, (names.listed, names.folded, names.of_routes, names.prefixes)))
        if wanted != self._named:
            self._named = wanted
            self.tree.names = NamedTemplates()
            self.tree.name([*names.listed, *names.folded, *names.of_routes])
            self.tree.name(names.prefixes, are_prefixes=True)
        return self.follow_folds()

    def _list_routes(self, routes: Iterable[RouteSettings], now: float) -> None:
        """Make rows of exact matches, and drop those of routes that are gone and that nobody has called."""
        wanted: dict[str, tuple[str, str]] = {}
        for route in routes:
            if route.match.path is not None:
                template = self.tree.template_of_first(joined_segments(named_segments(route.match.path)))
                if template.endswith(OVERFLOW):
                    continue  # the tree has no room for it
                for method in route.match.methods or (ANY_METHOD,):
                    wanted[f"{method} {template}"] = method, template
        rows = self.rows
        uncalled = [name for name, row in rows.rows.items() if row.source == "route" and row.first_seen is None]
        for name in uncalled:
            if name not in wanted:
                rows.drop(name)
        called = {row.template for row in rows.rows.values()}
        for name, (method, template) in wanted.items():
            if len(rows.rows) >= MAX_ROUTE_ROWS or name in rows.rows or (method == ANY_METHOD and template in called):
                continue
            rows.row_of(method, template, "route", now)
