"""The result of a replay: the account of what was sent and found, and whether it has passed."""

from collections.abc import Iterable, Iterator
from typing import Literal

from strangler.cli._replay_running import Run
from strangler.core.documents import BadLines, LegacyItself, ReplayDocument, ReplayedRoute, ReplayInbox, UnsentEndpoint
from strangler.replay.progress import ReplayProgress

FailOn = Literal["gate", "difference"]


def result_of(
    run: Run, recording: str, at: float, seconds: float, fail_on: FailOn, inbox: ReplayInbox | None
) -> ReplayDocument:
    """Return the result. `at`: the Unix time of the start."""
    progress, how = run.progress, run.how
    itself = [] if run.itself is None else run.itself.routes()
    routes = run.judged.routes() if run.itself is None else []
    reasons = list(_ended_early(progress))
    if not reasons:
        reasons += _differs_itself(itself) if how.is_self else _fails(routes, how.routes, fail_on)
    return ReplayDocument(
        recording=recording,
        to=how.to,
        against="self" if how.is_self else how.against,
        at=at,
        seconds=round(seconds, 3),
        passed=not reasons,
        reasons=reasons,
        stopped=progress.stopped,
        read=progress.read,
        sent=progress.sent,
        routes=routes,
        differences=(run.judged if run.itself is None else run.itself).differences(),
        faults=dict(progress.faults.most_common()),
        arms=dict(progress.arms.most_common()),
        statuses={str(status): count for status, count in sorted(progress.statuses.items())},
        left_out=dict(progress.left_out.most_common()),
        unsent=_unsent(progress),
        fields_left_out=dict(progress.fields_left_out.most_common()),
        bad_lines=[
            BadLines(why, count, progress.first_bad_lines.get(why, []))
            for why, count in progress.bad_lines.most_common()
        ],
        learned=progress.learned,
        by_candidate=progress.by_candidate,
        inbox=inbox,
        itself=itself,
        refusals=progress.refusals,
        sent_again=progress.sent_again,
    )


def _unsent(progress: ReplayProgress) -> list[UnsentEndpoint]:
    """Return the endpoints of requests that were not sent, those with most of them first."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for unsent, count in progress.unsent.most_common():
        found.setdefault((unsent.route, unsent.endpoint), {})[unsent.reason] = count
    rows = [UnsentEndpoint(route, endpoint, reasons) for (route, endpoint), reasons in found.items()]
    return sorted(rows, key=lambda row: -sum(row.reasons.values()))


def _ended_early(progress: ReplayProgress) -> Iterator[str]:
    """Yield why no verdict counts: a part of the recording was not replayed, or nothing of it."""
    if progress.stopped is not None:
        yield f"it was stopped: {progress.stopped}"
    if not progress.sent:
        yield "nothing was sent"


def _fails(routes: Iterable[ReplayedRoute], wanted: frozenset[str], fail_on: FailOn) -> Iterator[str]:
    """Yield why a run has not passed. `wanted`: the routes that were named, of which each must have been compared."""
    compared: set[str] = set()
    for route in routes:
        name = route.verdict.route
        if route.matches or route.accepted or route.mismatches:
            compared.add(name)
        if fail_on == "gate" and route.verdict.verdict != "ready":
            yield f"route '{name}': {route.verdict.verdict}"
        if fail_on == "difference" and route.mismatches:
            yield f"route '{name}': pairs differ that no rule accepts: {route.mismatches:,}"
    if not compared:
        yield "no pair could be compared"
    yield from (f"route '{name}': no pair could be compared" for name in sorted(wanted - compared))


def _differs_itself(itself: Iterable[LegacyItself]) -> Iterator[str]:
    """Yield why legacy does not agree with itself."""
    pairs = 0
    for found in itself:
        pairs += found.pairs
        if found.mismatches:
            yield f"route '{found.route}': legacy differs from itself in {found.mismatches:,} of {found.pairs:,} pairs"
    if not pairs:
        yield "no two responses of legacy could be compared"
