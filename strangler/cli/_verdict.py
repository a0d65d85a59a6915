"""The verdict for a route in a few lines, for commands that change a percent or judge such a change."""

from collections.abc import Callable, Mapping

import click
import msgspec

from strangler.core.documents import ShortVerdict, VerdictDocument
from strangler.core.gate import cut_percent

NOTHING_COMPARED = "nothing was compared yet"
_SOME = 5

Verdict = VerdictDocument


def verdict_of(ask: Callable[[], Verdict | None]) -> tuple[Verdict | None, str | None]:
    """Return the verdict of the gate, or why nothing is known. It never ends the program: a verdict is information."""
    try:
        found = ask()
    except click.ClickException as error:
        return None, error.format_message()
    except SystemExit:  # the reason is printed already
        return None, "the evidence cannot be read"
    return found, None if found is not None else NOTHING_COMPARED


def short(found: Verdict | None, unknown: str | None) -> list[str]:
    """Return `verdict: not ready; 0 % of 194 pairs match`, and a line for each reason."""
    if found is None:
        return [f"verdict: {unknown}"]
    share, away = found.match_share, sum(found.not_comparable.values())
    if share is None and not away:
        return [f"verdict: {found.verdict}; {NOTHING_COMPARED}"]
    figure = f"none of {away:,} pairs could be compared" if share is None else _figure(share, found.pairs)
    reasons = found.reasons
    more = [f"  … and {len(reasons) - _SOME} more reasons"] if len(reasons) > _SOME else []
    return [f"verdict: {found.verdict}; {figure}", *(f"  - {reason}" for reason in reasons[:_SOME]), *more]


def _figure(share: float, pairs: int) -> str:
    return f"{cut_percent(share):g} % of {pairs:,} pairs match"


def short_verdict(found: Verdict | None, unknown: str | None) -> ShortVerdict:
    """Return the verdict as a document; its `verdict` is None where nothing is known."""
    if found is None:
        return ShortVerdict(None, [] if unknown is None else [unknown], 0, None)
    return ShortVerdict(found.verdict, found.reasons, found.pairs, found.match_share)


def as_data(found: Verdict | None, unknown: str | None) -> Mapping[str, object]:
    """Return the verdict for `--json`."""
    data: Mapping[str, object] = msgspec.to_builtins(short_verdict(found, unknown))
    return data
