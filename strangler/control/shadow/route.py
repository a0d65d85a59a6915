"""One route as shadows see it: its rules compiled, its places, and whether it has stopped by itself."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

import msgspec

from strangler.control.shadow.client import ShadowUpstream
from strangler.control.shadow.dry_runs import DryRuns
from strangler.control.shadow.request import path_of
from strangler.core.compare import CompareRules, Redactor, RuleUseState, compile_rules
from strangler.core.compare.accept_rules.rules import EndpointRules
from strangler.core.compare.model.templates import Template, route_templates
from strangler.core.http.cookies import public_cookie
from strangler.core.http.methods import SAFE
from strangler.core.routing.aggregate import Part
from strangler.core.routing.arm import LEGACY, Arm
from strangler.core.routing.rewrite import Rewrite, cookie_path_back, rewrite_back
from strangler.core.routing.route import Route
from strangler.core.settings import RouteSettings, Settings, ShadowSettings, Url
from strangler.core.shadowing.recheck import MAX_RECHECKS, RecheckState
from strangler.http1.parse import host_of
from strangler.ipc.messages import Captured

OPEN_PER_PLACE = 4
"""Shadows that only wait for their second look, for each one that may be in flight."""


@dataclass(slots=True)
class ShadowRoute:
    """Made anew when the route's settings change. `open` and `first` are counted by whoever compares."""

    settings: RouteSettings
    shadow: ShadowSettings
    candidate: str
    """`aggregate`, if several answer together: `parts`."""
    parts: tuple[Part, ...]
    rules: CompareRules
    endpoint_rules: EndpointRules
    redactor: Redactor
    rewrite: Rewrite | None
    templates: tuple[Template, ...]
    """How paths become endpoints."""
    uses: RuleUseState
    sending: asyncio.Semaphore
    looks: dict[Arm, RecheckState]
    """By the arm that is asked."""
    dry_runs: DryRuns = field(default_factory=DryRuns)
    recheck_ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, when a second look is over."""
    open: int = 0
    """Captures taken and not done with."""
    first: int = 0
    """The captures before the end of their first comparison."""
    stopped: str | None = None
    """Why shadowing of this route has stopped by itself."""

    @classmethod
    def of(
        cls, settings: RouteSettings, key: bytes, values: Literal["shown", "hashed"] = "shown"
    ) -> "ShadowRoute | None":
        """None for a route that has no shadows. `values`: `evidence.values` of routes.yaml."""
        shadow, route = settings.shadow, Route(settings, 0)
        if shadow is None or not shadow.percent:
            return None
        rules = compile_rules(settings.compare)
        return cls(
            settings=settings,
            shadow=shadow,
            candidate=route.upstream,
            parts=route.parts,
            rules=rules,
            endpoint_rules=EndpointRules(rules),
            redactor=Redactor.of(key, settings.compare.redact, values),
            rewrite=route.rewrite,
            templates=route_templates(settings.match.prefix, settings.match.path, settings.fold),
            uses=RuleUseState(len(settings.compare.accept)),
            sending=asyncio.Semaphore(shadow.in_flight),
            looks=_looks(shadow),
        )

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of what a stop of this route depends on: shadows go on when any of that changes."""
        encoded = msgspec.json.encode((self.settings.aggregate or self.candidate, self.shadow))
        return blake2b(encoded, digest_size=8).hexdigest()

    def begin_anew(self) -> None:
        """Forget what second looks and the uses of rules have told: the evidence begins anew."""
        self.looks = _looks(self.shadow)
        self.uses = RuleUseState(len(self.settings.compare.accept))

    def end_recheck(self) -> None:
        """Tell all who wait for what second looks tell."""
        self.recheck_ended.set()
        self.recheck_ended = asyncio.Event()

    def resume(self) -> None:
        """Go on after a stop; a candidate is asked anew whether it knows dry runs."""
        self.stopped = None
        self.dry_runs = DryRuns()

    def other_arms(self) -> frozenset[Arm]:
        """Those that are asked."""
        return _other_arms(self.shadow)

    def uses_any(self, upstreams: Collection[str]) -> bool:
        """Whether a shadow of this route may be sent to one of them."""
        return not {LEGACY, self.candidate, self.shadow.to}.isdisjoint(upstreams)

    def upstream_of(self, arm: Arm, method: bytes) -> str:
        """The name of the upstream that a shadow is sent to."""
        if arm is Arm.LEGACY:
            return LEGACY
        return self.shadow.to or self.candidate if self.is_sandboxed(method) else self.candidate

    def is_sandboxed(self, method: bytes) -> bool:
        """Return whether a request of this method goes to the sandbox in place of the candidate."""
        return self.shadow.writes == "sandbox" and method not in SAFE

    def upstreams_of(self, arm: Arm) -> frozenset[str]:
        """The names of all upstreams that a shadow cannot do without."""
        if arm is Arm.CANDIDATE and self.parts:
            return frozenset(part.upstream for part in self.parts if part.is_required)
        return frozenset({self.upstream_of(arm, b"GET")})

    def is_dry_run(self, method: bytes) -> bool:
        return self.shadow.writes == "dry_run" and method not in SAFE

    def room(self, upstreams: dict[str, ShadowUpstream]) -> tuple[int, str]:
        """How many more captures can be used now, and what is short: `stopped`, `breaker` or `full`.

        While the other arm's breaker is open a few are still taken: they are the record of that.
        """
        if self.stopped is not None:
            return 0, "stopped"
        places = self.shadow.in_flight
        free = max(0, min(places - self.first, OPEN_PER_PLACE * places - self.open))
        now = time.monotonic()
        resting = {name for name, upstream in upstreams.items() if upstream.breaker.refuses(now)}
        if all(resting & self.upstreams_of(arm) for arm in self.other_arms()):
            return min(1, free), "breaker"
        return free, "full"

    def public_location(self, location: bytes, captured: Captured, url: Url | None) -> bytes:
        """A Location of the candidate as its client gets it: rewritten back only where paths are rewritten."""
        base = url.path.encode() if url is not None else b""
        if url is None or (self.rewrite is None and not base.rstrip(b"/")):
            return location
        return rewrite_back(
            location, self.rewrite, path_of(captured.target), base, url.authority.encode(), captured.host
        )

    def public_cookie(self, cookie: bytes, captured: Captured, url: Url | None) -> bytes:
        """A Set-Cookie of the candidate as its client gets it."""
        base = url.path.encode() if url is not None else b""
        if url is None or (self.rewrite is None and not base.rstrip(b"/")):
            return cookie
        path = path_of(captured.target)
        host = host_of(captured.host) or b""
        return public_cookie(
            cookie, lambda own: cookie_path_back(own, self.rewrite, path, base), url.host.encode(), host
        )


def _other_arms(shadow: ShadowSettings) -> frozenset[Arm]:
    return {"legacy": frozenset({Arm.CANDIDATE}), "candidate": frozenset({Arm.LEGACY})}.get(shadow.of, frozenset(Arm))


def _looks(shadow: ShadowSettings) -> dict[Arm, RecheckState]:
    """Where both arms are asked they share the looks: what one keeps back is no lag of the other."""
    arms = _other_arms(shadow)
    return {arm: RecheckState(MAX_RECHECKS // len(arms)) for arm in arms}


def url_named(text: str, settings: Settings, upstream: str) -> Url | None:
    """The URL of an upstream that a worker names."""
    known = settings.upstreams.get(upstream)
    return None if known is None else next((url for url in known.urls if str(url) == text), known.urls[0])
