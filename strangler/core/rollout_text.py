"""The standing of a rollout in words: its ladder, and what it waits for."""

from collections.abc import Sequence
from typing import Final

_MOST_STEPS: Final = 9
"""The most percents of a ladder; of a longer one those around the present percent are left, and both ends."""
_GAP: Final = "…"

WAITS_FOR_PERSON: Final = ("approve", "resume")
"""The values of `waits_for` that call for a person. A rollout that was never started may be meant for later."""

_WAITS: Final = {
    "start": ("start", "to be started"),
    "resume": ("resume", "to be resumed"),
    "evidence": ("evidence", "for evidence"),
    "hold": ("hold", "until the step has held"),
    "gate": ("gate", "for the route's gate"),
    "approve": ("approval", "for an approval"),
    "within": ("window", "for its window"),
    "kill_switch": ("kill switch", "for the kill switch to be off, and the route to be enabled"),
}
"""By `waits_for`: a word or two for a column, and the words behind `it waits`."""


def ladder_text(steps: Sequence[float], percent: float) -> str:
    """Return `1 5 [25] 50 100`: the steps, and in brackets the percent in force, which need not be a step."""
    percents = sorted({*steps, percent})
    at = percents.index(percent)
    texts = [f"[{each:g}]" if each == percent else f"{each:g}" for each in percents]
    if len(texts) <= _MOST_STEPS:
        return " ".join(texts)
    first, end = max(0, at - 2), min(len(texts), at + 3)
    before = [*texts[: min(1, first)], *([_GAP] if first > 1 else [])]
    after = [*([_GAP] if end < len(texts) - 1 else []), *(texts[-1:] if end < len(texts) else [])]
    return " ".join([*before, *texts[first:end], *after])


def step_text(step: int, steps: Sequence[float]) -> str:
    """Return `step 3 of 5`, or that none is reached."""
    return f"step {step} of {len(steps)}" if step else f"before the first of {len(steps)} {_plural(len(steps), 'step')}"


def waits_text(waits_for: str | None, percent: float | None = None) -> str:
    """Return what a rollout waits for, in a word or two. `percent`: that of the next step."""
    if waits_for is None:
        return "-"
    text, _ = _WAITS.get(waits_for, (waits_for, ""))
    return f"{text} of {percent:g} %" if waits_for == "approve" and percent is not None else text


def waits_phrase(waits_for: str) -> str:
    """Return the words for what a rollout waits for, behind `it waits`."""
    return _WAITS.get(waits_for, ("", f"for {waits_for}"))[1]


def next_percent(steps: Sequence[float], percent: float) -> float | None:
    """Return the percent of the next step up; None on the last."""
    return next((step for step in steps if step > percent), None)


def routes_text(names: Sequence[str]) -> str:
    """Return `route 'orders'`, or `routes 'orders' and 'carts'`."""
    *others, last = [f"'{name}'" for name in names]
    return f"routes {', '.join(others)} and {last}" if others else f"route {last}"


def look_text(verdict: str) -> str:
    """Return `not enough` for `not_enough`."""
    return verdict.replace("_", " ")


def percents_text(what: str, before: float, after: float) -> str:
    """Return `5 → 25 %` for a move; one percent for what has moved nothing, as an approval of 50 %."""
    is_move = before != after and what not in ("approve", "waiting")
    return f"{before:g} → {after:g} %" if is_move else f"{after:g} %"


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"
