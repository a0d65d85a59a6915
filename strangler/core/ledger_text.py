"""The states of endpoints in words, for the dashboard and the report."""

from typing import Final

from strangler.core.ledger_settings import DAY_S

STATES: Final = ("legacy", "shadowed", "splitting", "cut_over", "quiet", "deletable", "retired", "probed")
"""The states in the order of a migration; `probed` is beside it."""

_UNITS: Final = ((DAY_S, "day"), (3600.0, "hour"), (1.0, "second"))
_MEANINGS: Final = {
    "legacy": "legacy serves it, and no candidate sees it",
    "shadowed": "legacy serves it; the candidate gets copies, and both responses are compared",
    "splitting": "some callers get the candidate, the others legacy",
    "cut_over": "the candidate serves all callers",
    "quiet": "nobody has called it for {quiet}, probes apart",
    "deletable": "legacy has not served it for {quiet} that were watched: its code in legacy can go",
    "retired": "its sunset is past: every call is refused",
    "probed": "only probes have called it: no call has found anything there",
}


def state_title(state: str) -> str:
    """Return `cut over` for `cut_over`."""
    return state.replace("_", " ")


def meaning_of(state: str, quiet: str) -> str:
    """Return what a state says, in plain words. `quiet`: the time until an endpoint is quiet, in words."""
    return _MEANINGS[state].format(quiet=quiet) if state in _MEANINGS else state_title(state)


def quiet_text(seconds: float) -> str:
    """Return a time in days, or in the next smaller unit if it is less than one: `30 days`."""
    unit, name = next((unit for unit in _UNITS if seconds >= unit[0]), _UNITS[-1])
    number = f"{seconds / unit:.3g}"
    return f"{number} {name}" if number == "1" else f"{number} {name}s"
