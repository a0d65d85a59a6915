"""The comparison of legacy with itself, and with what was recorded of it."""

from dataclasses import replace

from strangler.core.compare import Outcome
from strangler.core.documents import LegacyItself, ReplayedRoute, SignatureRow
from strangler.replay.judged_run import JudgedRun
from strangler.replay.replayed_finding import ReplayedFinding
from strangler.store.evidence.findings import Finding, Noisy


class SelfRun:
    """Both comparisons of legacy, each in a store: `itself` with its second response, `recorded` with the recording."""

    def __init__(self, itself: JudgedRun, recorded: JudgedRun) -> None:
        self._itself = itself
        self._recorded = recorded

    def add(self, item: ReplayedFinding) -> None:
        if item.what == "noise":
            self._itself.add(_with_baseline(item.finding))
        else:
            self._recorded.add(item.finding)

    def routes(self) -> list[LegacyItself]:
        """Return what was found by route, in the order of routes.yaml."""
        recorded = {route.verdict.route: route for route in self._recorded.routes()}
        return [self._route(route, recorded[route.verdict.route]) for route in self._itself.routes()]

    def _route(self, itself: ReplayedRoute, recorded: ReplayedRoute) -> LegacyItself:
        name = itself.verdict.route
        return LegacyItself(
            route=name,
            recorded_pairs=_pairs(recorded),
            recorded_mismatches=recorded.mismatches,
            recorded_noise=self._recorded.mismatches_within(name, self._itself.noise(name)),
            pairs=_pairs(itself),
            mismatches=itself.mismatches,
            patch=self._itself.proposal(name),
        )

    def differences(self) -> list[SignatureRow]:
        """Return what legacy differs in from itself, most frequent first."""
        return self._itself.differences()


def _pairs(route: ReplayedRoute) -> int:
    return route.matches + route.accepted + route.mismatches


def _with_baseline(finding: Finding) -> Finding:
    """Return a finding of legacy and itself as a baseline, which rules are proposed by."""
    if finding.outcome == Outcome.NOT_COMPARABLE or finding.baseline is not None:
        return finding
    noise = (Noisy(seen.place, seen.path or "", seen.kind, "") for seen in finding.differences)
    return replace(finding, baseline=tuple(noise))
