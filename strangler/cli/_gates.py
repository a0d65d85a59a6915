"""`strangler check --gate`: does a routes.yaml raise a percent past a gate?"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import click

from strangler.cli._admin import NamedAdmin, find_admin
from strangler.cli._config import failed
from strangler.cli._evidence import Evidence, find_evidence
from strangler.cli._verdict import Verdict, short, short_verdict, verdict_of
from strangler.config.load import load
from strangler.core.documents import GateCheck, RiseDocument, RolloutDocument
from strangler.core.percents import Raise, RouteRollout, raises, rollouts_of
from strangler.core.settings import Settings

_OTHER = "name another one with --against"
_WAY_OUT = "name the file that is in force with --against OLD.yaml"


@dataclass(frozen=True, slots=True)
class JudgedRaise:
    """A percent that rises, and the verdict by the stricter of its gates."""

    rise: Raise
    found: Verdict | None
    unknown: str | None  # why there is no verdict

    @property
    def is_allowed(self) -> bool:
        return self.rise.gate is None or (self.found is not None and self.found.verdict == "ready")

    def lines(self) -> list[str]:
        rise = self.rise
        outcome = "allowed" if self.is_allowed else "NOT allowed: its gate is not met"
        if rise.gate is None:
            outcome = "it has no gate"
        head = f"route '{rise.route}': {rise.from_percent:g} % to {rise.to_percent:g} %: {outcome}"
        return [head, *(f"  {line}" for line in short(self.found, self.unknown))]

    def document(self) -> RiseDocument:
        rise, verdict = self.rise, short_verdict(self.found, self.unknown)
        return RiseDocument(
            route=rise.route,
            from_=rise.from_percent,
            to=rise.to_percent,
            gated=rise.gate is not None,
            allowed=self.is_allowed,
            verdict=verdict.verdict,
            reasons=verdict.reasons,
            pairs=verdict.pairs,
            match_share=verdict.match_share,
        )


@dataclass(frozen=True, slots=True)
class Gates:
    """All percents that rise. `against`: what was in force."""

    against: str
    judged: tuple[JudgedRaise, ...]

    @property
    def is_allowed(self) -> bool:
        return all(judged_raise.is_allowed for judged_raise in self.judged)

    def lines(self) -> list[str]:
        if not self.judged:
            return [f"against {self.against}: no percent rises"]
        return [line for judged_raise in self.judged for line in judged_raise.lines()]

    def document(self) -> GateCheck:
        return GateCheck(self.against, self.is_allowed, [judged_raise.document() for judged_raise in self.judged])


def judge_gates(config: Path, settings: Settings, against: Path | None, admin: NamedAdmin | None) -> Gates:
    """Compare the file with what is in force. End the program if that is not known."""
    before, name, former = _in_force(config, against, admin)
    found = raises(before, rollouts_of(settings))
    if not found:
        return Gates(name, ())
    evidence = _evidence(config, admin, former or settings)
    return Gates(name, tuple(_judged(evidence, rise) for rise in found))


def _in_force(
    config: Path, against: Path | None, admin: NamedAdmin | None
) -> tuple[dict[str, RouteRollout], str, Settings | None]:
    """Return what was in force by route, where that was found, and the settings if it was a file."""
    if against is not None:
        loaded = load(against, os.environ)
        if loaded.settings is None:
            problems = [
                str(replace(problem, way_out=_OTHER) if not problem.line else problem) for problem in loaded.problems
            ]
            raise failed("\n".join([*problems, f"{against}: it does not show what was in force"]))
        return rollouts_of(loaded.settings), str(against), loaded.settings
    try:
        proxy = find_admin(config, admin)
        in_force = proxy.ask("GET", "/api/rollout", RolloutDocument)
    except click.ClickException as error:
        raise click.ClickException(f"{error.format_message()}; {_WAY_OUT}") from None
    return in_force.routes, f"the proxy at {proxy.url}", None


def _evidence(config: Path, admin: NamedAdmin | None, settings: Settings) -> Evidence | str:
    """Return the evidence, judged by the rules in force, or why there is none.

    A rule that the same edit adds counts only from the next edit on, like a gate that it loosens.
    """
    try:
        return find_evidence(config, admin, settings)
    except click.ClickException as error:
        return error.format_message()


def _judged(evidence: Evidence | str, rise: Raise) -> JudgedRaise:
    if isinstance(evidence, str):
        return JudgedRaise(rise, None, evidence)
    gate = rise.gate
    ask = (lambda: evidence.ready(rise.route)) if gate is None else (lambda: evidence.ready_under(rise.route, gate))
    return JudgedRaise(rise, *verdict_of(ask))
