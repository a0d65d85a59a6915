"""Simulated rollouts, judged by our rule and by those of others: `python -m benchmarks.rollout [--runs 10000]`.

Each row is a truth that the simulation knows: whether the candidate is as good as it has to be, or regressed. Each run
climbs 1, 5, 25, 50, 100 %. A false stop is a rollout of a good candidate that was rolled back, aborted, or paused for a
person; a false climb is one of a regressed candidate that reached 100 %.

The rules see the same kind of minutes: counts of requests, failures and times in buckets of each arm, drawn for each.

- ours: `strangler.core.rollout` with its defaults, without a gate: nothing was compared before.
- Flagger: a check at each interval of the metrics since the last; a good one moves to the next weight; failed checks
  are counted and never forgotten, and their threshold rolls back; no metrics are a failed check. As documented: every
  minute, 5 failed checks, 99 % of requests succeed, the 99th percentile is at most 500 ms.
- Flagger, tuned: the interval is our hold, and the limits are ours, from the truth about legacy.
- Argo Rollouts: an analysis at each step: 6 measurements, 5 minutes apart; more than 3 failures abort. 99 % of requests
  must succeed, fewer than 95 % are a failure, and what is between, or no number, is inconclusive: more than 3 of these
  pause until a person decides. The 95th percentile may be 1.3 times legacy's, as Prometheus would show it.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import NormalDist, median
from typing import Literal, Protocol

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from strangler.core.rollout.advance import ChangeKind, advance, happen
from strangler.core.rollout.caller_sketch import CallerCounts, CallerSketch, sketch_of
from strangler.core.rollout.evidence import ArmCounts, Numbers, StepCounts
from strangler.core.rollout.machine import RolloutEvent
from strangler.core.rollout.position import Position, WaitsFor
from strangler.core.rollout_settings import RolloutSettings
from strangler.ipc.metrics import BOUNDS_S

STEPS = (1.0, 5.0, 25.0, 50.0, 100.0)
_MINUTE_S = 60.0
_HOUR = 60
_DAY = 24 * _HOUR
_MEDIAN_S, _SPREAD = 0.05, 0.7
"""Legacy's times: lognormal; the 95th percentile is 158 ms, the 99th 255 ms."""
_RATE = 6000.0
"""Requests per minute, where a row says nothing else."""
_FAILS = 0.002
_CALLERS = 5000
_MOST_SKETCHED = 40
"""Callers that the simulated sketch tells apart."""


@dataclass(frozen=True, slots=True)
class Truth:
    name: str
    is_good: bool
    legacy_fails: float = _FAILS
    candidate_fails: float = _FAILS
    times: float = 1.0
    """The candidate's times, as a multiple of legacy's."""
    per_minute: float = _RATE
    has_night: bool = False
    bot_share: float = 0.0
    """The requests of one bot at the candidate, as a share of all requests of the first step."""
    bot_fails: float = 0.0
    has_outages: bool = False
    """Whether both arms fail for five minutes every three hours, as with a shared database."""
    days: int = 3

    def rate_at(self, minute: int) -> float:
        """Return the requests of a minute. Rollouts begin at 18:00; the night is from 20:00 to 08:00."""
        hour = (18 + minute // _HOUR) % 24
        return 0.0 if self.has_night and not 8 <= hour < 20 else self.per_minute

    def extra_fails_at(self, minute: int) -> float:
        return 0.2 if self.has_outages and minute % (3 * _HOUR) in range(95, 100) else 0.0


TRUTHS = (
    Truth("equal", True),
    Truth("equal, both fail 2 %", True, legacy_fails=0.02, candidate_fails=0.02),
    Truth("equal, shared outages", True, has_outages=True),
    Truth("+0.5 % errors", False, candidate_fails=_FAILS + 0.005),
    Truth("+1 % errors", False, candidate_fails=_FAILS + 0.01),
    Truth("+5 % errors", False, candidate_fails=_FAILS + 0.05),
    Truth("1.2 x latency", True, times=1.2),
    Truth("2 x latency", False, times=2.0),
    Truth("20 requests an hour", True, per_minute=20 / 60, days=4),
    Truth("20 requests an hour, +5 % errors", False, candidate_fails=_FAILS + 0.05, per_minute=20 / 60, days=4),
    Truth("a night without traffic", True, has_night=True),
    Truth("a bot is 90 % of a step, and fails", True, bot_share=0.9, bot_fails=0.05, days=1),
    Truth("a bot is 90 % of a step, +1 % for others", False, candidate_fails=_FAILS + 0.01, bot_share=0.9),
)


@dataclass(frozen=True, slots=True)
class Minute:
    """What both arms served in a minute, and who the candidate's callers were."""

    legacy: ArmCounts
    candidate: ArmCounts
    callers: CallerSketch


class World:
    """Draws minutes of a truth; the same callers stay at the candidate."""

    def __init__(self, truth: Truth, chance: np.random.Generator) -> None:
        self._truth, self._chance = truth, chance
        self._legacy_times = _bucket_shares(1.0)
        self._candidate_times = _bucket_shares(truth.times)
        self._hashes = [int(each) for each in chance.integers(0, 2**63, _MOST_SKETCHED + 1)]

    def minute(self, minute: int, percent: float) -> Minute:
        """Return what is served in a minute, counted from the rollout's begin."""
        truth = self._truth
        rate, extra, share = truth.rate_at(minute), truth.extra_fails_at(minute), percent / 100
        legacy = self._arm(rate * (1 - share), truth.legacy_fails + extra, self._legacy_times)
        people = self._arm(rate * share, truth.candidate_fails + extra, self._candidate_times)
        callers = self._callers(people, percent)
        if not truth.bot_share or not percent:
            return Minute(legacy, people, sketch_of(callers))
        rate_of_bot = rate * STEPS[0] / 100 * truth.bot_share / (1 - truth.bot_share)
        bot = self._arm(rate_of_bot, truth.bot_fails + extra, self._candidate_times)
        if bot.requests:
            callers[self._hashes[-1]] = CallerCounts(bot.requests, bot.failed, bot.buckets)
        return Minute(legacy, people.plus(bot), sketch_of(callers))

    def _arm(self, rate: float, fails: float, times: Sequence[float]) -> ArmCounts:
        requests = int(self._chance.poisson(rate)) if rate else 0
        if not requests:
            return ArmCounts()
        failed = int(self._chance.binomial(requests, fails))
        return ArmCounts(requests, failed, tuple(self._chance.multinomial(requests, times).tolist()))

    def _callers(self, people: ArmCounts, percent: float) -> dict[int, CallerCounts]:
        if not people.requests:
            return {}
        known = min(_MOST_SKETCHED, max(1, int(_CALLERS * percent / 100)))
        drawn = self._chance.multinomial(people.requests, [1 / known] * known).tolist()
        return {self._hashes[at]: CallerCounts(count) for at, count in enumerate(drawn) if count}


def _bucket_shares(times: float) -> list[float]:
    log_times = NormalDist(math.log(_MEDIAN_S * times), _SPREAD)
    below = [0.0, *(log_times.cdf(math.log(bound)) for bound in BOUNDS_S), 1.0]
    return [high - low for low, high in pairwise(below)]


def quantile_s(buckets: Sequence[int], share: float) -> float:
    """Return a percentile of buckets as Prometheus does: spread evenly within a bucket; NaN without any."""
    rank, before = share * sum(buckets), 0
    if not rank:
        return math.nan
    for at, bound in enumerate(BOUNDS_S):
        if before + buckets[at] >= rank:
            low = BOUNDS_S[at - 1] if at else 0.0
            return low + (bound - low) * (rank - before) / buckets[at]
        before += buckets[at]
    return BOUNDS_S[-1]


def legacy_quantile_s(share: float) -> float:
    """Return a percentile of legacy's times as its buckets show it, of very many requests."""
    return quantile_s([round(each * 1e9) for each in _bucket_shares(1.0)], share)


Outcome = Literal["done", "stopped", "person"]


class Rule(Protocol):
    """Decides the percent, minute by minute."""

    percent: float
    outcome: Outcome | None

    def see(self, minute: int, seen: Minute) -> None: ...


class Ours:
    """The rollout's core, looked at every minute."""

    def __init__(self, _: Truth, settings: RolloutSettings | None = None) -> None:
        self._settings = settings or RolloutSettings(steps=STEPS, gate="never")
        self._position, _changes = happen(Position(), self._settings, RolloutEvent.START, 0.0)
        self.percent = 0.0
        self.outcome: Outcome | None = None

    def see(self, minute: int, seen: Minute) -> None:
        counts = StepCounts(seen.legacy, seen.candidate, seen.callers)
        now = (minute + 1) * _MINUTE_S
        if not (seen.legacy.requests or seen.candidate.requests) and self._position.waits_for is WaitsFor.EVIDENCE:
            return  # the next look would be the last one again
        self._position, changes = advance(self._position, self._settings, now, Numbers(counts, BOUNDS_S))
        self.percent = self._position.percent
        for change in changes:
            if change.kind is ChangeKind.DONE:
                self.outcome = "done"
            elif change.kind is ChangeKind.FAILED:
                self.outcome = "stopped"


class Flagger:
    def __init__(self, _: Truth, minutes: int = 1, errors: float = 0.01, p99_s: float = 0.5) -> None:
        self._minutes, self._errors, self._p99_s = minutes, errors, p99_s
        self._window, self._failed_checks = ArmCounts(), 0
        self.percent = STEPS[0]
        self.outcome: Outcome | None = None

    def see(self, minute: int, seen: Minute) -> None:
        self._window = self._window.plus(seen.candidate)
        if (minute + 1) % self._minutes:
            return
        window, self._window = self._window, ArmCounts()
        if self._is_good(window):
            step = next((step for step in STEPS if step > self.percent), None)
            self.outcome = "done" if step is None else None
            self.percent = step or self.percent
            return
        self._failed_checks += 1
        if self._failed_checks >= 5:
            self.outcome = "stopped"

    def _is_good(self, window: ArmCounts) -> bool:
        if not window.requests:
            return False
        return window.failed / window.requests <= self._errors and quantile_s(window.buckets, 0.99) <= self._p99_s


class FlaggerTuned(Flagger):
    def __init__(self, truth: Truth) -> None:
        super().__init__(truth, 30, 1.5 * truth.legacy_fails + 0.001, 1.3 * legacy_quantile_s(0.99))


class Argo:
    _INTERVAL, _COUNT, _LIMIT = 5, 6, 3

    def __init__(self, _: Truth) -> None:
        self._p95_s = 1.3 * legacy_quantile_s(0.95)
        self._window = ArmCounts()
        self._measured: list[str] = []
        self.percent = STEPS[0]
        self.outcome: Outcome | None = None

    def see(self, minute: int, seen: Minute) -> None:
        self._window = self._window.plus(seen.candidate)
        if (minute + 1) % self._INTERVAL:
            return
        window, self._window = self._window, ArmCounts()
        self._measured.append(self._measure(window))
        if self._measured.count("failed") > self._LIMIT:
            self.outcome = "stopped"
        elif self._measured.count("inconclusive") > self._LIMIT:
            self.outcome = "person"
        elif len(self._measured) == self._COUNT:
            step = next((step for step in STEPS if step > self.percent), None)
            self.outcome = "done" if step is None else None
            self.percent, self._measured = step or self.percent, []

    def _measure(self, window: ArmCounts) -> str:
        if not window.requests:
            return "inconclusive"
        succeeded = 1 - window.failed / window.requests
        if succeeded < 0.95 or quantile_s(window.buckets, 0.95) > self._p95_s:
            return "failed"
        return "good" if succeeded >= 0.99 else "inconclusive"


RULES: dict[str, type[Ours] | type[Flagger] | type[Argo]] = {
    "ours": Ours,
    "Flagger": Flagger,
    "Flagger, tuned": FlaggerTuned,
    "Argo Rollouts": Argo,
}


@dataclass(frozen=True, slots=True)
class Run:
    """How a rollout ended; `candidate_requests` and `hours` until then."""

    outcome: Outcome | None
    highest: float
    candidate_requests: int
    hours: float


def run_of(truth: Truth, rule: Rule, chance: np.random.Generator) -> Run:
    """Return one simulated rollout; it ends with an outcome, or with the days of the truth."""
    world, requests, highest, minute = World(truth, chance), 0, 0.0, 0
    for minute in range(truth.days * _DAY):
        seen = world.minute(minute, rule.percent)
        requests += seen.candidate.requests
        rule.see(minute, seen)
        if rule.outcome is not None:
            break
        highest = max(highest, rule.percent)
    return Run(rule.outcome, highest, requests, (minute + 1) / _HOUR)


@dataclass(frozen=True, slots=True)
class Figures:
    """The runs of one rule under one truth. Shares of all runs; medians of those that ended."""

    truth: str
    rule: str
    is_good: bool
    runs: int
    done: float
    stopped: float
    person: float
    unfinished: float
    wrong: float
    stepped_up: float
    """The share of runs that went beyond the first step."""
    requests_at_end: float | None
    hours_at_end: float | None


def figures_of(truth: Truth, rule: str, runs: Sequence[Run]) -> Figures:
    ended = [run for run in runs if run.outcome is not None]
    done, stopped, person = (
        sum(run.outcome == outcome for run in runs) / len(runs) for outcome in ("done", "stopped", "person")
    )
    return Figures(
        truth=truth.name,
        rule=rule,
        is_good=truth.is_good,
        runs=len(runs),
        done=done,
        stopped=stopped,
        person=person,
        unfinished=1 - len(ended) / len(runs),
        wrong=stopped + person if truth.is_good else done,
        stepped_up=sum(run.highest > STEPS[0] for run in runs) / len(runs),
        requests_at_end=median(run.candidate_requests for run in ended) if ended else None,
        hours_at_end=median(run.hours for run in ended) if ended else None,
    )


def simulate(truth: Truth, rule: str, runs: int, seed: int) -> Figures:
    """Return the figures of a rule under a truth; the same seed gives the same ones."""
    found = []
    for number in range(runs):
        chance = np.random.default_rng([seed, TRUTHS.index(truth), list(RULES).index(rule), number])
        found.append(run_of(truth, RULES[rule](truth), chance))
    return figures_of(truth, rule, found)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _wrong_table(figures: Sequence[Figures]) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    rows = []
    for truth in dict.fromkeys(each.truth for each in figures):
        own = {each.rule: each for each in figures if each.truth == truth}
        one = next(iter(own.values()))
        cells = (_percent(own[rule].wrong) if rule in own else "–" for rule in RULES)
        rows.append((truth, "false stops" if one.is_good else "false climbs", f"{one.runs:,}", *cells))
    return "Wrong decisions", ("truth", "wrong is", "rollouts", *RULES), rows


def _detail_table(figures: Sequence[Figures]) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    columns = ("truth", "rule", "to 100 %", "stopped", "for a person", "not ended", "beyond 1 %", "requests", "hours")
    rows = [
        (
            each.truth,
            each.rule,
            *map(_percent, (each.done, each.stopped, each.person, each.unfinished, each.stepped_up)),
            "–" if each.requests_at_end is None else f"{each.requests_at_end:,.0f}",
            "–" if each.hours_at_end is None else f"{each.hours_at_end:,.1f}",
        )
        for each in figures
    ]
    return "How they ended: the candidate's requests and the hours until then, medians", columns, rows


def markdown(figures: Sequence[Figures]) -> str:
    """Return the tables for docs/."""
    lines = []
    for title, columns, rows in (_wrong_table(figures), _detail_table(figures)):
        numbers = ["---", "---", *("--:" for _ in columns[2:])]
        lines += [f"**{title}**", "", *(f"| {' | '.join(row)} |" for row in (columns, numbers, *rows)), ""]
    return "\n".join(lines)


def _print_tables(figures: Sequence[Figures], console: Console) -> None:
    for title, columns, rows in (_wrong_table(figures), _detail_table(figures)):
        table = Table(title=title, title_justify="left", title_style="bold")
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number > 1 else "left", no_wrap=number < 2)
        for row in rows:
            table.add_row(*row)
        console.print(table)


@click.command()
@click.option("--runs", default=10_000, show_default=True, type=click.IntRange(min=1), help="Rollouts of each row.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0), help="Chance begins here.")
@click.option(
    "--truth", "truths", multiple=True, type=click.Choice([each.name for each in TRUTHS]), help="Only this row."
)
@click.option("--rule", "rules", multiple=True, type=click.Choice(list(RULES)), help="Only this rule.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the tables as Markdown.")
def main(
    runs: int, seed: int, truths: tuple[str, ...], rules: tuple[str, ...], as_json: bool, as_markdown: bool
) -> None:
    """Simulate rollouts of known truths and print how often each rule decides wrongly."""
    pairs = [
        (truth, rule)
        for truth in TRUTHS
        if not truths or truth.name in truths
        for rule in RULES
        if not rules or rule in rules
    ]
    shown = track(pairs, "rollouts", console=Console(stderr=True), transient=True)
    figures = [simulate(truth, rule, runs, seed) for truth, rule in shown]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in figures], indent=1))
    elif as_markdown:
        click.echo(markdown(figures))
    else:
        _print_tables(figures, Console())


if __name__ == "__main__":
    main()
