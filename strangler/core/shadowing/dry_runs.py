"""Dry runs: a write is sent to a candidate only where it has recently confirmed that it supports them.

A place is one endpoint at one URL of the candidate. The states of a place:

    nothing known ──ASK──▶ asking ──confirmed──▶ said ──TRY──▶ tried ──confirmed──▶ open ──SEND──▶ …
          ▲                  │ └────failed─────▶ nothing known  └──┐
          │                  └──────refused────────────────────────┴▶ all of the route refused, until it is resumed
          └── a minute, another release, a failed connection ── said, open

What serves OPTIONS (a gateway, say) may not be what serves the write, so the first write goes out alone. Writes that
come while the question or that first write is under way WAIT for its outcome: at worst one write is executed.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import NamedTuple

HOLDS_S = 60.0
"""Seconds that a permission holds, from the moment when it was requested."""

MAX_PLACES = 1000
"""The most permissions of one route; the oldest is dropped first, and requested again when needed."""

_MANY = 2
"""The most releases that are noted while a question is under way: two are already one too many."""


class Step(Enum):
    """The next thing to do with a write."""

    SEND = auto()
    TRY = auto()
    ASK = auto()
    WAIT = auto()
    REFUSE = auto()


class Verdict(Enum):
    """The outcome of a question."""

    CONFIRMED = auto()
    REFUSED = auto()
    FAILED = auto()  # no response came


class Place(NamedTuple):
    """An endpoint (`POST /api/orders/{}`) at one URL."""

    endpoint: str
    url: str


class Basis(NamedTuple):
    """The basis of a permission, which ends when any of this changes."""

    release: str
    """The candidate's current release."""
    failures: int
    """How often the candidate's upstream has not responded so far."""


@dataclass(frozen=True, slots=True)
class _Permission:
    basis: Basis
    named: str | None
    """The release that the confirming response named."""
    until: float
    is_proved: bool = False
    """Whether a write was confirmed, too."""

    def holds(self, basis: Basis, now: float) -> bool:
        """Return whether it still holds; the release that confirmed may have become the current one since."""
        is_same = basis.release in (self.basis.release, self.named)
        return is_same and basis.failures == self.basis.failures and now < self.until


@dataclass(slots=True)
class _Question:
    basis: Basis
    requested_at: float
    seen: set[str]
    """The releases that responses have named since; at most `_MANY`."""


class DryRunState:
    """The permissions of one route. Times are on the monotonic clock, in seconds."""

    def __init__(self) -> None:
        self.is_refused = False
        self._permissions: dict[Place, _Permission] = {}
        self._questions: dict[Place, _Question] = {}
        self._trials: set[Place] = set()

    def next_step(self, place: Place, basis: Basis, now: float) -> Step:
        """Return what to do with a write for `place`; after ASK, call `begin`, after TRY, `begin_trial`."""
        if self.is_refused:
            return Step.REFUSE
        if place in self._questions or place in self._trials:
            return Step.WAIT
        if not self.is_open(place, basis, now):
            return Step.ASK
        return Step.SEND if self._permissions[place].is_proved else Step.TRY

    def is_open(self, place: Place, basis: Basis, now: float) -> bool:
        """Return True while a write may be sent to `place`."""
        permission = self._permissions.get(place)
        return permission is not None and permission.holds(basis, now)

    def begin(self, place: Place, basis: Basis, now: float) -> None:
        """Note that the question for `place` goes out now."""
        self._permissions.pop(place, None)
        self._questions[place] = _Question(basis, now, set())

    def end(self, place: Place, verdict: Verdict, named: str | None = None) -> None:
        """Note the outcome of the question. `named` is the release that the response named."""
        question = self._questions.pop(place)
        if verdict is Verdict.REFUSED:
            self.refuse()
        expected = {question.basis.release if named is None else named}
        if verdict is not Verdict.CONFIRMED or not question.seen <= expected:
            return
        if len(self._permissions) >= MAX_PLACES:
            del self._permissions[next(iter(self._permissions))]
        self._permissions[place] = _Permission(question.basis, named, question.requested_at + HOLDS_S)

    def begin_trial(self, place: Place) -> None:
        """Note that the first write for `place` goes out now."""
        self._trials.add(place)

    def end_trial(self, place: Place, verdict: Verdict) -> None:
        """Note the outcome of the first write; a permission that has ended meanwhile stays ended."""
        self._trials.discard(place)
        permission = self._permissions.get(place)
        if verdict is Verdict.REFUSED:
            self.refuse()
        elif verdict is Verdict.CONFIRMED and permission is not None:
            self._permissions[place] = replace(permission, is_proved=True)

    def see(self, release: str) -> None:
        """Note that a response of the candidate named its release: permissions of other releases end."""
        self._permissions = {
            place: permission
            for place, permission in self._permissions.items()
            if release == (permission.basis.release if permission.named is None else permission.named)
        }
        for question in self._questions.values():
            if len(question.seen) < _MANY:
                question.seen.add(release)

    def refuse(self) -> None:
        """Send no more writes."""
        self.is_refused = True
        self._permissions.clear()
