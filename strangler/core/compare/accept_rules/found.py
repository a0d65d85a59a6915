"""The findings of a comparison so far: one entry per in, path and kind, with accept rules applied to each value."""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple, Protocol

from strangler.core.compare.accept_rules.accept import Accept
from strangler.core.compare.accept_rules.rules import CompareRules
from strangler.core.compare.model.severity import SEVERITIES, body_severity, status_severity
from strangler.core.compare.model.values import (
    MAX_DIFFERENCES,
    Comparison,
    Difference,
    Kind,
    Node,
    Outcome,
    Severity,
    Steps,
    Value,
    Where,
)

MAX_WORK = 40_000
"""Steps of about a microsecond, after which a walk ends if it has found a difference that no rule accepts."""
MAX_PLACES = 2000
"""The most places in two bodies that may differ before the search ends."""

_GRAVEST = {kind: body_severity(kind) for kind in Kind}


class PathDifferences:
    """All differences of one kind at one folded path."""

    __slots__ = ("accepted", "candidate", "count", "example", "legacy", "rules", "severity")

    def __init__(self, rules: list[Accept]) -> None:
        self.rules = rules
        self.count = 0
        self.accepted = 0
        self.example: tuple[Severity, Value, Value] = (Severity.VALUE, None, None)
        """One of the gravest accepted differences."""
        self.severity = Severity.VALUE
        self.legacy: Value = None
        self.candidate: Value = None

    def add(self, severity: Severity, legacy: Value, candidate: Value) -> None:
        if not self.count or severity.rank < self.severity.rank:
            self.severity, self.legacy, self.candidate = severity, legacy, candidate
        self.count += 1


class BodyPath(Protocol):
    """A place in a body: `paths.PathState` of JSON, `markup_places.MarkupPlace` of HTML and XML."""

    sites: dict[Kind, PathDifferences]

    @property
    def text(self) -> str:
        """Return the written place."""

    @property
    def accepts(self) -> tuple[Accept, ...]: ...

    @property
    def steps(self) -> Steps: ...

    @property
    def is_secret(self) -> bool:
        """Return True if the value here is a secret although no step says so."""


class FoundState:
    """The findings of one call of `compare`."""

    def __init__(self, rules: CompareRules, today: date) -> None:
        self._rules = rules
        self._today = today
        self._status: PathDifferences | None = None
        self._headers: list[tuple[str, Kind, PathDifferences]] = []
        self._body: list[tuple[BodyPath, Kind, PathDifferences]] = []
        self.has_mismatch = False
        """Whether the bodies have a difference that no rule accepts."""
        self.is_cut = False
        """Whether some of the bodies was not compared, or by place alone."""
        self._used: set[int] = set()
        self._expired: set[int] = set()

    def status(self, legacy: int, candidate: int) -> None:
        """Add a difference of the statuses. A 5xx of the candidate is a failure: no rule accepts it."""
        is_failure = candidate >= 500
        rules = [] if is_failure else [rule for rule in self._rules.accept if rule.status == (legacy, candidate)]
        self._status = PathDifferences(rules)
        severity = status_severity(legacy, candidate)
        if not self._is_accepted(self._status, severity, legacy, candidate):
            self._status.add(severity, legacy, candidate)

    def header(
        self,
        name: str,
        kind: Kind,
        legacy: str | None,
        candidate: str | None,
        severity: Severity | None = None,
    ) -> None:
        """Add a difference of a header. `severity`: in place of that of the table of severities."""
        differences = PathDifferences(
            [rule for rule in self._rules.accept if rule.header == name and rule.is_about(kind)]
        )
        self._headers.append((name, kind, differences))
        severity = severity or SEVERITIES[Where.HEADER, kind]
        if not self._is_accepted(differences, severity, legacy, candidate):
            differences.add(severity, legacy, candidate)

    def body(self, path: BodyPath, kind: Kind, legacy: Value, candidate: Value) -> None:
        differences = path.sites.get(kind)
        if (
            differences is not None
            and differences.count
            and not differences.rules
            and differences.severity is _GRAVEST[kind]
        ):
            differences.count += 1  # nothing more to learn here; saves 30 ms where 90,000 elements changed
            return
        if differences is None:
            rules = [rule for rule in path.accepts if rule.is_about(kind)] if path.accepts else []
            differences = path.sites[kind] = PathDifferences(rules)
            self._body.append((path, kind, differences))
        severity = body_severity(kind, legacy_is_null=legacy is None)
        if differences.rules and self._is_accepted(differences, severity, legacy, candidate):
            return
        self.has_mismatch = True
        differences.add(severity, legacy, candidate)

    def more(self, path: BodyPath, kind: Kind, count: int) -> None:
        """Add to the count of a kind that was just reported by `body`, where no rule is in force."""
        path.sites[kind].count += count

    @property
    def is_full(self) -> bool:
        """Return True if the most places differ that may."""
        return len(self._body) >= MAX_PLACES and self.has_mismatch

    def is_enough(self, work: int = 0) -> bool:
        """Return True, and set `is_cut`, if so much differs that the search ends. `work`: the steps taken so far."""
        is_enough = self.is_full or (work > MAX_WORK and self.has_mismatch)
        self.is_cut = self.is_cut or is_enough
        return is_enough

    def lacking(self, path: BodyPath, legacy: Node) -> None:
        self.body(path, Kind.MISSING, legacy, None)

    def added(self, path: BodyPath, candidate: Node) -> None:
        self.body(path, Kind.EXTRA, None, candidate)

    def _is_accepted(self, differences: PathDifferences, severity: Severity, legacy: Value, candidate: Value) -> bool:
        """Return whether a rule accepts the difference. Every rule that does counts as used, even if they overlap."""
        allowing = [rule for rule in differences.rules if rule.allows(legacy, candidate)]
        expired = {rule.index for rule in allowing if rule.is_expired(self._today)}
        self._expired |= expired
        if len(expired) == len(allowing):
            return False
        self._used.update(rule.index for rule in allowing if rule.index not in expired)
        if not differences.accepted or severity.rank < differences.example[0].rank:
            differences.example = severity, legacy, candidate
        differences.accepted += 1
        return True

    def comparison(self) -> Comparison:
        places = list(self._places())
        differing = sorted((place for place in places if place.found.count), key=_reading_order)
        accepted = sorted((place for place in places if _is_accepted_whole(place)), key=_example_order)
        return Comparison(
            outcome=_outcome(bool(differing), len(accepted)),
            severity=differing[0].found.severity if differing else None,
            differences=tuple(map(_difference, differing[:MAX_DIFFERENCES])),
            accepted=len(accepted),
            accepted_differences=tuple(map(_accepted_difference, accepted[:MAX_DIFFERENCES])),
            omitted=max(0, len(differing) - MAX_DIFFERENCES),
            rules_used=frozenset(self._used),
            rules_expired=frozenset(self._expired),
            is_cut=self.is_cut,
        )

    def _places(self) -> Iterable["_FoundDifference"]:
        if self._status is not None:
            yield _FoundDifference(Where.STATUS, None, (), Kind.VALUE, self._status)
        for name, kind, differences in self._headers:
            yield _FoundDifference(Where.HEADER, name, (), kind, differences)
        yield from self._body_places()

    def _body_places(self) -> Iterable["_FoundDifference"]:
        """Return the places in the bodies, joined if written alike: elements of one place may have different rules."""
        places: dict[tuple[str, Kind], _FoundDifference] = {}
        for path, kind, differences in self._body:
            place = _FoundDifference(Where.BODY, path.text, path.steps, kind, differences, path.is_secret)
            known = places.get((place.path or "", kind))
            places[place.path or "", kind] = place if known is None else _together(known, place)
        return places.values()


class _FoundDifference(NamedTuple):
    in_: Where
    path: str | None
    steps: Steps
    kind: Kind
    found: PathDifferences
    is_secret: bool = False


def _together(left: _FoundDifference, right: _FoundDifference) -> _FoundDifference:
    """Return two places as one, with the example of the graver one."""
    if right.found.count and (not left.found.count or right.found.severity.rank < left.found.severity.rank):
        left, right = right, left
    differences = PathDifferences([])
    differences.severity, differences.legacy, differences.candidate = (
        left.found.severity,
        left.found.legacy,
        left.found.candidate,
    )
    differences.count, differences.accepted = (
        left.found.count + right.found.count,
        left.found.accepted + right.found.accepted,
    )
    differences.example = left.found.example if left.found.accepted else right.found.example
    return left._replace(found=differences)


def _difference(differing: _FoundDifference) -> Difference:
    in_, path, steps, kind, differences, is_secret = differing
    return Difference(
        in_,
        path,
        kind,
        differences.severity,
        differences.legacy,
        differences.candidate,
        steps,
        differences.count,
        is_secret,
    )


def _accepted_difference(differing: _FoundDifference) -> Difference:
    in_, path, steps, kind, differences, is_secret = differing
    severity, legacy, candidate = differences.example
    return Difference(in_, path, kind, severity, legacy, candidate, steps, differences.accepted, is_secret)


def _outcome(is_different: bool, accepted: int) -> Outcome:
    if is_different:
        return Outcome.MISMATCH
    return Outcome.ACCEPTED if accepted else Outcome.MATCH


def _is_accepted_whole(place: _FoundDifference) -> bool:
    """Return True if all differences of a place are accepted; else the place counts as one difference."""
    return bool(place.found.accepted) and not place.found.count


_PLACES = {where: place for place, where in enumerate(Where)}


def _reading_order(differing: _FoundDifference) -> tuple[int, int, str, str]:
    """Return a sort key: gravest first, then status, headers, body; independent of the order of keys in objects."""
    return differing.found.severity.rank, _PLACES[differing.in_], differing.path or "", differing.kind


def _example_order(differing: _FoundDifference) -> tuple[int, int, str, str]:
    """Return the same sort key for accepted differences."""
    return differing.found.example[0].rank, _PLACES[differing.in_], differing.path or "", differing.kind
