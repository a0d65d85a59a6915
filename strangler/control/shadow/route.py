"""One route as shadows use it: its compiled rules, its free places, and whether it has stopped by itself."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from typing import Literal

import msgspec

from strangler.comparing.client import ArmUpstream
from strangler.comparing.dry_runs import DryRuns
from strangler.comparing.route import ComparedRoute
from strangler.core.compare import RuleUseState
from strangler.core.http.methods import SAFE
from strangler.core.routing.arm import LEGACY, Arm
from strangler.core.settings import RouteSettings, Settings, ShadowSettings, Url
from strangler.core.shadowing.recheck import MAX_RECHECKS, RecheckState

OPEN_PER_PLACE = 4
"""The most open captures for each shadow that may be in flight; the others wait for their recheck."""


@dataclass(slots=True, kw_only=True)
class ShadowRoute(ComparedRoute):
    """Made again when the route's settings change. The comparisons count `open` and `first`."""

    shadow: ShadowSettings
    uses: RuleUseState
    sending: asyncio.Semaphore
    looks: dict[Arm, RecheckState]
    """By the arm that is asked again."""
    dry_runs: DryRuns = field(default_factory=DryRuns)
    recheck_ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set and replaced when a recheck is over."""
    open: int = 0
    """Captures that are not finished."""
    first: int = 0
    """Captures whose first comparison is not finished."""
    stopped: str | None = None
    """Why shadowing of this route has stopped by itself."""

    @classmethod
    def if_shadowed(
        cls, settings: RouteSettings, key: bytes, values: Literal["shown", "hashed"] = "shown"
    ) -> "ShadowRoute | None":
        """Return the route; None if it has no shadows. `values`: `evidence.values` of routes.yaml."""
        shadow = settings.shadow
        if shadow is None or not shadow.percent:
            return None
        compared = ComparedRoute.of(settings, key, values)
        return cls(
            **{each.name: getattr(compared, each.name) for each in fields(ComparedRoute)},
            shadow=shadow,
            uses=RuleUseState(len(settings.compare.accept)),
            sending=asyncio.Semaphore(shadow.in_flight),
            looks=_looks(shadow),
        )

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the settings that a stop depends on: shadows go on when any of them changes."""
        encoded = msgspec.json.encode((self.settings.aggregate or self.candidate, self.shadow))
        return blake2b(encoded, digest_size=8).hexdigest()

    def begin_anew(self) -> None:
        """Forget the results of rechecks and the uses of rules: the evidence starts again."""
        self.looks = _looks(self.shadow)
        self.uses = RuleUseState(len(self.settings.compare.accept))

    def end_recheck(self) -> None:
        """Wake all that wait for a recheck."""
        self.recheck_ended.set()
        self.recheck_ended = asyncio.Event()

    def resume(self) -> None:
        """Go on after a stop; the candidate must confirm dry runs again."""
        self.stopped = None
        self.dry_runs = DryRuns()

    def other_arms(self) -> frozenset[Arm]:
        """Return the arms that get shadows."""
        return _other_arms(self.shadow)

    def uses_any(self, upstreams: Collection[str]) -> bool:
        """Return whether a shadow of this route may be sent to one of these upstreams."""
        return not {LEGACY, self.candidate, self.shadow.to}.isdisjoint(upstreams)

    def upstream_of(self, arm: Arm, method: bytes) -> str:
        """Return the name of the upstream that a shadow is sent to."""
        if arm is Arm.LEGACY:
            return LEGACY
        return self.shadow.to or self.candidate if self.is_sandboxed(method) else self.candidate

    def is_sandboxed(self, method: bytes) -> bool:
        """Return whether a request of this method goes to the sandbox in place of the candidate."""
        return self.shadow.writes == "sandbox" and method not in SAFE

    def upstreams_of(self, arm: Arm) -> frozenset[str]:
        """Return the names of all upstreams that a shadow requires."""
        if arm is Arm.CANDIDATE and self.parts:
            return frozenset(part.upstream for part in self.parts if part.is_required)
        return frozenset({self.upstream_of(arm, b"GET")})

    def is_dry_run(self, method: bytes) -> bool:
        return self.shadow.writes == "dry_run" and method not in SAFE

    def room(self, upstreams: dict[str, ArmUpstream]) -> tuple[int, str]:
        """Return how many more captures can be used now, and the limiting reason: `stopped`, `breaker` or `full`.

        While the other arm's breaker is open, one capture at a time is still taken, to record that.
        """
        if self.stopped is not None:
            return 0, "stopped"
        places = self.shadow.in_flight
        free = max(0, min(places - self.first, OPEN_PER_PLACE * places - self.open))
        now = time.monotonic()
        resting = {name for name, upstream in upstreams.items() if upstream.breaker.refuses(now)}
        if resting and all(resting & self.upstreams_of(arm) for arm in self.other_arms()):
            return min(1, free), "breaker"
        return free, "full"


def _other_arms(shadow: ShadowSettings) -> frozenset[Arm]:
    return {"legacy": frozenset({Arm.CANDIDATE}), "candidate": frozenset({Arm.LEGACY})}.get(shadow.of, frozenset(Arm))


def _looks(shadow: ShadowSettings) -> dict[Arm, RecheckState]:
    """Return the recheck states. If both arms get shadows, they share the limit of rechecks."""
    arms = _other_arms(shadow)
    return {arm: RecheckState(MAX_RECHECKS // len(arms)) for arm in arms}


def url_named(text: str, settings: Settings, upstream: str) -> Url | None:
    """Return the URL of an upstream that a worker names, else its first; None for an unknown upstream."""
    known = settings.upstreams.get(upstream)
    return None if known is None else next((url for url in known.urls if str(url) == text), known.urls[0])
