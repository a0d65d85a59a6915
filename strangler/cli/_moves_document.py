"""The moves of a new routes.yaml as a document, and its sentences, for `strangler plan`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from strangler.config.quantities import duration_text
from strangler.core.documents.moves import CallerCalls, ChangeDocument, LogDocument, MovesDocument, ServedDocument
from strangler.core.moves.changes import Change, Moves
from strangler.core.moves.difference import Kind
from strangler.core.moves.serving import Serving
from strangler.core.retire_settings import utc_stamp, utc_text

FAILURES = ("moved-writes", "moved", "unmatched-routes")
"""The words that `--fail-on` takes."""
_SHORTEST_S = 3600.0
"""A log of less time says nothing about a day."""
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Span:
    """The time that the logs cover, or for which the ledger has watched."""

    seconds: float | None
    source: str = "log"
    """`log` or `ledger`: what the calls were counted from."""

    @classmethod
    def between(cls, first_at: float | None, last_at: float | None) -> "Span":
        """Return the time from the first call of the logs to the last."""
        return cls(None if first_at is None or last_at is None else last_at - first_at)

    @property
    def days(self) -> float | None:
        """Return the days; None if that is less than an hour, or unknown."""
        return None if self.seconds is None or self.seconds < _SHORTEST_S else self.seconds / _DAY_S

    def sentence(self, calls: int) -> str:
        many = f"the {self.source} has {counted(calls, 'call')}"
        figures = f"figures are calls of the {self.source}, not of a day"
        if self.seconds is None:
            return f"{many} and no times: {figures}"
        if self.days is None:
            return f"{many} of less than an hour: {figures}"
        if self.days < 1:
            return f"{many} of {self.days * 24:.1f} hours, from which those of a day are estimated"
        return f"{many} of {self.days:.1f} days"

    def rate(self, calls: float) -> str:
        """Return `4,100 calls a day`, or without days the calls of the log."""
        number = figure(calls if self.days is None else calls / self.days)
        unit = f"of the {self.source}" if self.days is None else "a day"
        return f"{number} {'call' if number == '1' else 'calls'} {unit}"


def document_of(
    moves: Moves, span: Span, logs: list[LogDocument], fail_on: Sequence[str], more_notes: Sequence[str] = ()
) -> MovesDocument:
    """Return all that `plan` says."""
    moved = [change for change in moves.certain if change.is_move]
    affected = sum(change.affected for change in moved)
    missed = [change for change in moves.missed if change.is_move]
    return MovesDocument(
        days=None if span.days is None else round(span.days, 4),
        changes=[_change(change, span.days) for change in moves.changes],
        calls=moves.calls,
        endpoints=moves.endpoints,
        moved_endpoints=_endpoints(moved),
        moved_calls_per_day=None if span.days is None else round(affected / span.days, 4),
        moved_writes=_endpoints(change for change in moved if change.is_write),
        missed_changes=_endpoints(missed),
        missed_calls=sum(change.calls for change in missed),
        unmatched_routes=list(moves.unmatched),
        possible_routes=list(moves.possible),
        served=_served(moves),
        notes=[_summary(moves, moved, affected, span), *_notes(moves, moved, missed, span), *more_notes],
        logs=logs,
        failed={name: found for name in FAILURES if name in fail_on and (found := _failed(moves, name))},
    )


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def figure(number: float) -> str:
    """Return a number of calls as people write it: `4,100`, `7.5`."""
    if number >= 10 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 0.05 else "<0.1"


def _endpoints(changes: Iterable[Change]) -> int:
    return len({change.endpoint for change in changes})


def _change(change: Change, days: float | None) -> ChangeDocument:
    return ChangeDocument(
        endpoint=change.endpoint,
        route=change.after.route or change.before.route,
        from_=change.before.text,
        to=change.after.text,
        calls_per_day=None if days is None else round(change.affected / days, 4),
        callers=[CallerCalls(name, calls) for name, calls in change.callers],
        method=change.method,
        path=change.template,
        calls=change.calls,
        affected_calls=round(change.affected, 4),
        kinds=[kind.value for kind in change.kinds],
        needs=list(change.needs),
        unknown=list(dict.fromkeys((*change.before.unknown_keys, *change.after.unknown_keys))),
        why=reasons(change),
        before=_serving(change.before),
        after=_serving(change.after),
    )


def _serving(serving: Serving) -> ServedDocument:
    return ServedDocument(
        route=serving.route,
        percent=serving.percent,
        upstream=serving.text if serving.refused is None and not serving.percent else serving.upstream,
        rewrite=serving.rewrite or None,
        shadow_percent=serving.shadow_percent,
        shadow_to=serving.shadow_to or None,
        response_timeouts_s=list(serving.timeouts_s),
        refused=serving.refused,
        sunset=None if serving.sunset is None else utc_stamp(serving.sunset),
    )


def reasons(change: Change) -> list[str]:
    """Return what differs beside the arm, and the conditions of the change."""
    before, after, kinds = change.before, change.after, set(change.kinds)
    found = [f"only with {' and '.join(change.needs)}"] if change.needs else []
    if Kind.UPSTREAM in kinds and before.text == after.text:
        found.append("other URLs")
    if Kind.SHADOW in kinds:
        found.append(f"shadows {_shadow(before)} to {_shadow(after)}")
    if Kind.TIMEOUT in kinds:
        found.append(f"responses begin within {_times(before)} before, {_times(after)} after")
    if Kind.REWRITE in kinds:
        found.append(f"paths: {before.rewrite or 'as they are'} before, {after.rewrite or 'as they are'} after")
    if Kind.END in kinds:
        found.append("no longer ends" if after.sunset is None else f"ends on {utc_text(after.sunset)}")
    return found


def _shadow(serving: Serving) -> str:
    return f"{serving.shadow_percent:g} %" + (f" ({serving.shadow_to})" if serving.shadow_to else "")


def _times(serving: Serving) -> str:
    limits = ("any time" if seconds is None else duration_text(seconds) for seconds in serving.timeouts_s)
    return " or ".join(limits)


def _served(moves: Moves) -> dict[str, list[float]]:
    """Return the percent of the calls that each upstream serves, before and after."""
    names = dict.fromkeys((*moves.served_before, *moves.served_after))
    of = (moves.served_before, moves.served_after)
    return {name: [round(100 * served.get(name, 0.0) / moves.calls, 4) for served in of] for name in names}


def _summary(moves: Moves, moved: list[Change], affected: float, span: Span) -> str:
    if not moved:
        return f"none of {counted(moves.endpoints, 'endpoint')} is served by another arm or upstream"
    many, writes = _endpoints(moved), _endpoints(change for change in moved if change.is_write)
    verb = "changes" if many == 1 else "change"
    text = f"{many:,} of {counted(moves.endpoints, 'endpoint')} {verb} arm or upstream: {span.rate(affected)}"
    return f"{text}; {writes:,} of them {'writes' if writes == 1 else 'write'}" if writes else text


def _notes(moves: Moves, moved: list[Change], missed: list[Change], span: Span) -> list[str]:
    """Return the sentences below the first one."""
    found = [span.sentence(moves.calls)]
    served = {name: shares for name, shares in _served(moves).items() if shares[0] != shares[1]}
    if served:
        parts = ", ".join(f"{name} {first:.3g} % to {second:.3g} %" for name, (first, second) in served.items())
        found.append(f"share of all calls: {parts}")
    others = _endpoints(moves.certain) - _endpoints(moved)
    if others:
        found.append(f"{counted(others, 'more endpoint')} only with another shadow, timeout, path or end")
    possible = [change for change in moves.changes if change.needs]
    if possible:
        needs = ", ".join(sorted({need for change in possible for need in change.needs}))
        found.append(
            f"{counted(_endpoints(possible), 'endpoint')} may change with {needs}, which the {span.source} does not"
            " have: the calls given there are an upper bound"
        )
    if missed:
        found.append(
            f"{span.rate(sum(change.affected for change in missed))} on {counted(_endpoints(missed), 'path')}"
            " that got 404 or 405 move, too; they are not listed"
        )
    return [*found, *_split_notes(moves, span.source), *_route_notes(moves, span.source)]


def _split_notes(moves: Moves, source: str) -> list[str]:
    """Return a sentence for each split that the log, or the ledger, cannot decide."""
    found: dict[str, None] = {}
    for change in moves.changes:
        for serving in (change.before, change.after):
            if serving.unknown_keys:
                keys = ", ".join(serving.unknown_keys)
                found[f"{_about(serving)}: split by {keys}, which the {source} does not have: calls are shares"] = None
            if serving.unknown_fields:
                names = ", ".join(serving.unknown_fields)
                found[f"{_about(serving)}: header {names} may decide otherwise; the {source} does not have it"] = None
        first, second = change.before, change.after
        if first.shuffle and second.shuffle and first.shuffle != second.shuffle:
            found[f"route '{second.route}': another group or other sticky keys: callers change arm both ways"] = None
    return list(found)


def _about(serving: Serving) -> str:
    return f"route '{serving.route}'"


def _route_notes(moves: Moves, source: str) -> list[str]:
    unmatched = [f"route '{name}': no call of the {source} comes to it" for name in moves.unmatched]
    text = f"calls come to it only if they had what its conditions ask for, which the {source} does not have"
    return unmatched + [f"route '{name}': {text}" for name in moves.possible]


def _failed(moves: Moves, name: str) -> list[str]:
    """Return what `--fail-on` has found, a line each."""
    if name == "unmatched-routes":
        return [f"route '{route}'" for route in moves.unmatched]
    found = moves.writes if name == "moved-writes" else tuple(change for change in moves.changes if change.is_move)
    return [_line(change) for change in found]


def _line(change: Change) -> str:
    needs = f", only with {' and '.join(change.needs)}" if change.needs else ""
    return f"{change.endpoint}: {change.before.text} to {change.after.text}{needs}"
