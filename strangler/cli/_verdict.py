"""The verdict for a route in a few lines, for commands that change a percent or judge such a change."""

from collections.abc import Callable, Mapping
from typing import Any

import click

NOTHING_COMPARED = "nothing was compared yet"
_SOME = 5

Verdict = Mapping[str, Any]


def verdict_of(ask: Callable[[], Verdict | None]) -> tuple[Verdict | None, str | None]:
    """What the gate says, or why nothing is known. It never ends the program: a verdict is information."""
    try:
        found = ask()
    except click.ClickException as error:
        return None, error.format_message()
    except SystemExit:  # the command that asks has told why
        return None, "the evidence cannot be read"
    return found, None if found is not None else NOTHING_COMPARED


def short(found: Verdict | None, unknown: str | None) -> list[str]:
    """`verdict: not ready; 0 % of 194 pairs match`, and a line a reason."""
    if found is None:
        return [f"verdict: {unknown}"]
    share, away = found["match_share"], sum(found["not_comparable"].values())
    if share is None and not away:
        return [f"verdict: {found['verdict']}; {NOTHING_COMPARED}"]
    figure = f"none of {away:,} pairs could be compared" if share is None else _figure(share, found["pairs"])
    reasons = found["reasons"]
    more = [f"  … and {len(reasons) - _SOME} more reasons"] if len(reasons) > _SOME else []
    return [f"verdict: {found['verdict']}; {figure}", *(f"  - {reason}" for reason in reasons[:_SOME]), *more]


def _figure(share: float, pairs: int) -> str:
    """Cut and not rounded: 99.9999 % must not read as 100 %."""
    return f"{int(share * 1e5 + 1e-6) / 1e3:g} % of {pairs:,} pairs match"


def as_data(found: Verdict | None, unknown: str | None) -> dict[str, Any]:
    """The same for `--json`; `verdict` is null where nothing is known."""
    if found is None:
        return {"verdict": None, "reasons": [unknown], "pairs": 0, "match_share": None}
    return {key: found[key] for key in ("verdict", "reasons", "pairs", "match_share")}
