"""The entries of a route: Envoy takes the first that matches, so they stand in the order of our own decisions.

switched off, not enabled or ended, override, split headers, share: as `core.routing.snapshot` and `.plan` decide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from strangler.core.routing.arm import BUCKETS, Reason
from strangler.core.routing.split import hundredths
from strangler.core.settings import RouteSettings, Settings
from strangler.envoy.arm_clusters import candidate_arm, legacy_arm, route_timeouts
from strangler.envoy.matching import EVERYTHING, READS, conditions, exact_header, method_condition
from strangler.envoy.mirrors import mirrored_methods, route_mirrors
from strangler.envoy.names import METADATA
from strangler.envoy.resources import Resource
from strangler.envoy.retiring import announcement, refusal_of, refusals
from strangler.envoy.runtime import has_switch, while_off
from strangler.envoy.split_entries import division, is_divided
from strangler.envoy.units import limit

_UPGRADE: Final[Resource] = {"name": "upgrade", "present_match": True}
_EVENT_STREAM: Final[Resource] = {"name": "accept", "string_match": {"contains": "text/event-stream"}}
_READS: Final = frozenset(READS)


@dataclass(frozen=True, slots=True)
class Requests:
    """Some of a route's requests, by their method: those for which an entry does the same."""

    headers: tuple[Resource, ...]
    """The conditions that tell them from the rest."""
    is_read: bool
    is_tunnel: bool = False
    is_endless: bool = False
    """Whether the response may have no end: it does not count among those in flight."""
    is_mirrored: bool = False


_Act = Callable[[Requests], Resource]


def requests_of(methods: Sequence[str], mirrored: Sequence[str]) -> list[Requests]:
    """Return the requests of a route in the order in which they are tried. `methods`: those that match, none for all;
    `mirrored`: those whose requests the receiver gets."""
    named = frozenset(methods)
    reads = _READS & named if named else _READS
    copied = reads & frozenset(mirrored)
    found = []
    if "GET" in reads:
        get = method_condition(["GET"])
        found.append(Requests((_UPGRADE, get), is_read=True, is_tunnel=True, is_endless=True))
        found.append(Requests((_EVENT_STREAM, get), is_read=True, is_endless=True))
    if copied:
        found.append(Requests((method_condition(copied),), is_read=True, is_mirrored=True))
    if reads - copied:
        found.append(Requests((method_condition(reads),), is_read=True))
    if not named or named - reads:
        found.append(Requests((method_condition(named),) if named else (), is_read=False))
    return found


class RouteEntries:
    """The entries of all routes of a configuration, for a time."""

    def __init__(self, settings: Settings, generation: int, now: float) -> None:
        self._settings = settings
        self._generation = generation
        self._now = now
        self._legacy = {is_read: legacy_arm(settings, is_read=is_read) for is_read in (True, False)}
        self._legacy_times = route_timeouts(settings, None)

    def unrouted(self, reason: Reason, match: Resource = EVERYTHING) -> list[Resource]:
        """Return the entries for requests that are legacy's because no route takes them."""
        return _entries(match, requests_of((), ()), self._to_legacy(()), {"metadata": _metadata({"reason": reason})})

    def of(self, route: RouteSettings) -> list[Resource]:
        """Return the entries of a route."""
        match = conditions(route.match)
        named = route.match.methods
        plain = requests_of(named, ())
        to_legacy = self._to_legacy(())
        found: list[Resource] = []
        if not route.enabled:
            return _entries(match, plain, to_legacy, self._rest(route, Reason.DISABLED))
        if has_switch(route):
            off = {**match, **while_off(route.name)}
            found += _entries(off, plain, to_legacy, self._rest(route, Reason.KILL_SWITCH))
        refusal = refusal_of(route, self._now)
        if refusal is not None:
            rest = {"name": route.name, "metadata": self._about(route, refusal.reason)}
            for headers, response in refusals(self._settings, refusal.problem):
                methods = [method_condition(named)] if named else []
                found.append({"match": _with_headers(match, [*headers, *methods]), **response, **rest})
            return found
        return [*found, *self._decided(route, match)]

    def _decided(self, route: RouteSettings, match: Resource) -> list[Resource]:
        """Return the entries of a route that is served: by override, by split headers, and the rest by its share."""
        requests = requests_of(route.match.methods, mirrored_methods(route))
        to_legacy, to_candidate = self._to_legacy(route_mirrors(self._settings, route)), self._to_candidate(route)
        split, found = route.split, list[Resource]()
        if split.override is not None:
            for value, act in (("legacy", to_legacy), ("candidate", to_candidate)):
                named = _with_headers(match, [exact_header(split.override, value)])
                found += _entries(named, requests, act, self._rest(route, Reason.OVERRIDE))
        for name, value in split.headers:
            named = _with_headers(match, [exact_header(name, value)])
            found += _entries(named, requests, to_candidate, self._rest(route, Reason.SPLIT_HEADER))
        share = hundredths(split.percent)
        by_share = self._to_both(route) if is_divided(split) else to_candidate if share == BUCKETS else to_legacy
        return [*found, *_entries(match, requests, by_share, self._rest(route, Reason.PERCENT))]

    def _to_legacy(self, mirrors: Sequence[Resource]) -> _Act:
        def act(requests: Requests) -> Resource:
            action = _timed({"cluster": self._legacy[requests.is_read]}, requests, *self._legacy_times)
            return _mirrored(action, requests, mirrors)

        return act

    def _to_candidate(self, route: RouteSettings) -> _Act:
        if route.candidate is None:
            return self._to_legacy(())  # an aggregate, which Envoy cannot join
        clusters = {is_read: candidate_arm(self._settings, route, is_read=is_read) for is_read in (True, False)}
        times = route_timeouts(self._settings, route)

        def act(requests: Requests) -> Resource:
            return _timed({"cluster": clusters[requests.is_read]}, requests, *times)

        return act

    def _to_both(self, route: RouteSettings) -> _Act:
        if route.candidate is None:
            return self._to_legacy(())
        divisions = {
            is_read: division(
                route.split, candidate_arm(self._settings, route, is_read=is_read), self._legacy[is_read]
            )
            for is_read in (True, False)
        }
        times = route_timeouts(self._settings, route)
        mirrors = route_mirrors(self._settings, route)

        def act(requests: Requests) -> Resource:
            return _mirrored(_timed(dict(divisions[requests.is_read]), requests, *times), requests, mirrors)

        return act

    def _rest(self, route: RouteSettings, reason: Reason) -> Resource:
        return {"name": route.name, "metadata": self._about(route, reason), **announcement(route)}

    def _about(self, route: RouteSettings, reason: Reason) -> Resource:
        generation = {} if route.rollout is None else {"gen": self._generation}
        return _metadata({"route": route.name, "reason": reason, **generation})


def _entries(match: Resource, requests: Sequence[Requests], act: _Act, rest: Resource) -> list[Resource]:
    """Return an entry for each part of the requests that another action than the last entry's is for."""
    found: list[tuple[Requests, Resource]] = []
    for each in reversed(requests):
        action = act(each)
        if len(found) == 1 and action == found[0][1]:
            continue  # the last entry takes these as well
        found.append((each, action))
    return [
        {"match": _with_headers(match, each.headers), "route": action, **rest} for each, action in reversed(found)
    ]


def _with_headers(match: Resource, headers: Sequence[Resource]) -> Resource:
    return {**match, "headers": [*match.get("headers", ()), *headers]} if headers else match


def _timed(action: Resource, requests: Requests, head_s: float | None, idle_s: float | None) -> Resource:
    """Return an action with its timeouts. A tunnel may be silent for as long as it likes."""
    action["timeout"] = "0s"
    action["idle_timeout"] = "0s" if requests.is_tunnel else limit(idle_s)
    if head_s is not None:
        action["retry_policy"] = {"per_try_timeout": limit(head_s)}
    if requests.is_endless:
        action["priority"] = "HIGH"
    return action


def _mirrored(action: Resource, requests: Requests, mirrors: Sequence[Resource]) -> Resource:
    if requests.is_mirrored and mirrors:
        action["request_mirror_policies"] = list(mirrors)
    return action


def _metadata(values: Resource) -> Resource:
    return {"filter_metadata": {METADATA: values}}
