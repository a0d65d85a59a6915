"""The calls of a log that is imported, summed up as workers sum them up, with bounded memory whatever the log."""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from strangler.core.ledger.callers import caller_of
from strangler.core.ledger.counts import DAY_S, day_of
from strangler.core.ledger.examples import example_of
from strangler.core.ledger.first_template import FirstTemplateMemo
from strangler.core.ledger.rows import ANY_METHOD, is_refusal
from strangler.core.ledger.segments import MAX_TEMPLATE, cut_short
from strangler.core.ledger.split_values import SplitKey, raw_values, suffix_of
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.ledger.word_classes import OVERFLOW

MAX_SUMS: Final = 60_000
"""The sums that are kept at a time: about 50 MB."""
MAX_METHOD: Final = 40
_MAX_METHODS: Final = 50
_NO_FIELDS: Final[dict[bytes, bytes]] = {}
_MAX_REMEMBERED: Final = 20_000
_MAX_PATH: Final = 2048
_ALWAYS_VALUES: Final = re.compile(rb"/(?:[0-9]+|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})(?=/|\Z)")
"""Segments that are values wherever they stand, unless an operator's template spells one out."""
WORDS_KEPT: Final = 100
MAX_KEPT: Final = 3000
"""The words that stay of each fold, and of all."""
MAX_REFUSED: Final = 2000
"""The sums of paths that were only ever refused."""

Key = tuple[str, str, int, str, int]
"""Method, template, status, caller, and the day as a number since 1970."""


@dataclass(slots=True)
class LogSum:
    """Calls that are alike."""

    calls: int
    at: float
    """Unix time of the last of them."""
    buckets: list[int] = field(default_factory=list)
    """How many took how long; empty if the log does not say."""

    def add(self, other: "LogSum") -> None:
        self.calls += other.calls
        self.at = max(self.at, other.at)
        if other.buckets:
            own = self.buckets or [0] * len(other.buckets)
            self.buckets = [first + second for first, second in zip(own, other.buckets, strict=True)]


class LogSumsState:
    """Sums up the calls of a log. `make_tree` returns a tree with the names that the operator gave, and no words.

    `bounds_s` are the upper bounds of the buckets, `split_by` the entries of `ledger.by`: those on fields of requests
    are not in a log. `max_sums` bounds the memory; to keep it, paths are folded, and then the rarest callers summed up.
    """

    def __init__(
        self,
        make_tree: Callable[[], TemplateTreeState],
        bounds_s: Sequence[float],
        split_by: Sequence[SplitKey] = (),
        max_sums: int = MAX_SUMS,
    ) -> None:
        self.sums: dict[Key, LogSum] = {}
        self.calls = 0
        self.refused_left_out = 0
        """The calls under `…` whose endpoints were only ever refused."""
        self.is_by_month = False
        """Whether the days of a month had to be summed up."""
        self._make_tree = make_tree
        self._bounds_s = bounds_s
        self._split_by = tuple(key for key in split_by if key.is_query)
        self._max_sums = max_sums
        self._memo = FirstTemplateMemo(words=make_tree().names.unusual)
        self._tree: TemplateTreeState | None = None
        """The folds of the last shrinking; None before the first."""
        self._folded: dict[str, str] = {}
        self._families: dict[str, str] = {}
        self._methods: set[str] = set()
        self._paths: dict[tuple[str, str], bytes] = {}
        """A path as it was called, by method and template."""
        self._has_plain_paths = not any(_ALWAYS_VALUES.fullmatch(f"/{word}".encode()) for word in self._memo.words)

    def count(
        self,
        method: str,
        path: bytes,
        query: bytes,
        status: int,
        user_agent: str,
        at: float,
        duration_s: float | None = None,
    ) -> None:
        """Count a call. `path` and `query` are raw; `status` is 0 if the log has none."""
        self.calls += 1
        # most paths differ in numbers alone: one entry of the memo for all of them saves 10 µs for a call
        template = self._memo.template_of(_ALWAYS_VALUES.sub(b"/0", path) if self._has_plain_paths else path)
        if self._split_by:
            template += suffix_of(self._split_by, raw_values(self._split_by, query, _NO_FIELDS))
        if len(template) > MAX_TEMPLATE:
            template = cut_short(template)
        if self._tree is not None:
            template = self._folded.get(template) or self._fold_one(self._tree, template)
        caller = self._families.get(user_agent) or self._family(user_agent)
        key = (method, template, status, caller, int(at // DAY_S))
        found = self.sums.get(key)
        if found is None:
            found = self._new(key, path, at)
        found.calls += 1
        if at > found.at:
            found.at = at
        if duration_s is not None:
            if not found.buckets:
                found.buckets = [0] * (len(self._bounds_s) + 1)
            found.buckets[bisect_left(self._bounds_s, duration_s)] += 1

    def _new(self, key: Key, path: bytes, at: float) -> LogSum:
        if len(self.sums) >= self._max_sums:
            self.shrink(self._max_sums // 2)
        method, template, status, caller, day = key
        if self._tree is not None:
            template = self._tree.template_of_first(template)
        if method not in self._methods:
            if len(self._methods) >= _MAX_METHODS or len(method) > MAX_METHOD:  # bytes of other protocols
                method, template, caller = ANY_METHOD, OVERFLOW, OVERFLOW
            self._methods.add(method)
        self._paths.setdefault((method, template), path[:_MAX_PATH])
        return self.sums.setdefault((method, template, status, caller, day), LogSum(0, at))

    def _fold_one(self, tree: TemplateTreeState, template: str) -> str:
        if len(self._folded) >= _MAX_REMEMBERED:
            self._folded.clear()
        found = self._folded[template] = tree.template_of_first(template)
        return found

    def _family(self, user_agent: str) -> str:
        if len(self._families) >= _MAX_REMEMBERED:
            self._families.clear()
        found = self._families[user_agent] = caller_of(user_agent)
        return found

    def example(self, method: str, template: str) -> str:
        """Return a path of an endpoint without what is secret or personal; empty for what counts under `…`."""
        return "" if template == OVERFLOW else example_of(self._paths.get((method, template), b""))

    def finish(self) -> list[tuple[Key, LogSum]]:
        """Return the sums in the order in which they are counted: by day, and within a day first what was served.

        Most of the paths that were only ever refused go under `…`: scanners ask for them.
        """
        self._leave_out_refused(MAX_REFUSED)
        return sorted(self.sums.items(), key=lambda item: (item[0][4], is_refusal(item[0][0], item[0][2]), item[1].at))

    def shrink(self, most: int) -> None:
        """Sum up more, from what is missed least to what is missed most, until there are at most so many sums."""
        steps = (
            self._fold,
            lambda: self._leave_out_refused(MAX_REFUSED),
            lambda: self._keep_callers(49),
            lambda: self._leave_out_refused(0),
            lambda: self._keep_callers(10),
            self._sum_months,
            lambda: self._keep_callers(3),
            lambda: self._keep_callers(0),
            lambda: self._leave_out(self._rarest({key[:2] for key in self.sums}, most)),
        )
        for step in steps:
            if len(self.sums) > most:
                step()
        endpoints = {key[:2] for key in self.sums}
        self._paths = {endpoint: path for endpoint, path in self._paths.items() if endpoint in endpoints}

    def _fold(self) -> None:
        """Fold words that are values, as control does with what workers send; nothing is learned from refusals."""
        tree = self._make_tree()
        served: dict[str, int] = {}
        for (method, template, status, _, _), found in self.sums.items():
            if template != OVERFLOW and not is_refusal(method, status):
                served[template] = served.get(template, 0) + found.calls
        for template, calls in served.items():
            tree.learn_first(template, calls)
        self._tree, self._folded = tree, {}
        folded = self._folds(tree)
        for (method, template), path in list(self._paths.items()):
            self._paths.setdefault((method, folded.get(template, template)), path)
        self._rekey(lambda key: (key[0], folded.get(key[1], key[1]), *key[2:]))

    def _folds(self, tree: TemplateTreeState) -> dict[str, str]:
        """Return the templates that fold, and those that they become.

        Some words of each fold stay: by them control's own tree learns the same, for the calls that come later.
        """
        found: dict[str, str] = {}
        kept: dict[str, int] = {}
        room = min(MAX_KEPT, self._max_sums // 20)
        for template in dict.fromkeys(key[1] for key in self.sums):
            folded = template if template == OVERFLOW else tree.template_of_first(template)
            if folded == template:
                continue
            count = kept[folded] = kept.get(folded, 0) + 1
            if count <= WORDS_KEPT and room > 0:
                room -= 1
            else:
                found[template] = folded
        return found

    def _keep_callers(self, most: int) -> None:
        """Sum up the callers of each endpoint, but for those that call most, under `…`."""
        calls: dict[tuple[str, str], dict[str, int]] = {}
        for key, found in self.sums.items():
            of_endpoint = calls.setdefault(key[:2], {})
            of_endpoint[key[3]] = of_endpoint.get(key[3], 0) + found.calls
        kept = {
            endpoint: frozenset(sorted(of_endpoint, key=lambda name: (-of_endpoint[name], name))[:most])
            for endpoint, of_endpoint in calls.items()
        }
        self._rekey(lambda key: key if key[3] in kept[key[:2]] else (*key[:3], OVERFLOW, key[4]))

    def _leave_out_refused(self, most: int) -> None:
        """Count endpoints that were only ever refused under `…`, but for those with the most calls."""
        endpoints = self._rarest(self._refused_endpoints(), most)
        self.refused_left_out += sum(found.calls for key, found in self.sums.items() if key[:2] in endpoints)
        self._leave_out(endpoints)

    def _refused_endpoints(self) -> set[tuple[str, str]]:
        """Return the endpoints that were only ever refused: scanners ask for them."""
        served = {key[:2] for key in self.sums if not is_refusal(key[0], key[2]) or key[1] == OVERFLOW}
        return {key[:2] for key in self.sums} - served

    def _rarest(self, endpoints: set[tuple[str, str]], most: int) -> set[tuple[str, str]]:
        """Return those of some endpoints with the fewest calls, beside whose others there are at most so many sums."""
        calls: dict[tuple[str, str], int] = {}
        sums: dict[tuple[str, str], int] = {}
        for key, found in self.sums.items():
            if key[:2] in endpoints:
                calls[key[:2]] = calls.get(key[:2], 0) + found.calls
                sums[key[:2]] = sums.get(key[:2], 0) + 1
        room, rarest = most, set[tuple[str, str]]()
        for endpoint in sorted(calls, key=lambda each: (-calls[each], each)):
            room -= sums[endpoint]
            if room < 0:
                rarest.add(endpoint)
        return rarest

    def _leave_out(self, endpoints: set[tuple[str, str]]) -> None:
        """Count endpoints under `…`."""
        self._rekey(
            lambda key: (ANY_METHOD, OVERFLOW, key[2], OVERFLOW, key[4]) if key[:2] in endpoints else key,
        )

    def _sum_months(self) -> None:
        """Count the calls of a month on its last day that has any."""
        last: dict[str, int] = {}
        for *_, day in self.sums:
            month = _month(day)
            last[month] = max(day, last.get(month, day))
        self.is_by_month = True
        days = {day: last[_month(day)] for *_, day in self.sums}
        self._rekey(lambda key: (*key[:4], days[key[4]]))

    def _rekey(self, key_of: Callable[[Key], Key]) -> None:
        former, self.sums = self.sums, {}
        for key, found in former.items():
            key = key_of(key)
            known = self.sums.get(key)
            if known is None:
                self.sums[key] = found
            else:
                known.add(found)


def _month(day: int) -> str:
    return day_of(day * DAY_S)[:7]
