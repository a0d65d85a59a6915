"""One rollout for people: its ladder, why it waits and what to do, the looks and the moves with their numbers."""

import shlex
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from strangler.cli._rollout_table import (
    command_text,
    failed_text,
    ladder_markup,
    minute_text,
    p95_text,
    person_command,
    safe_markup,
    state_markup,
    verdict_markup,
)
from strangler.cli._rollout_units import RolloutUnit
from strangler.cli._tables import table
from strangler.core.documents import RolloutArmNumbers, RolloutLook, RolloutMove, RolloutStatus
from strangler.core.rollout_text import look_text, next_percent, percents_text, step_text, waits_text

_LABEL = 11
_LOOKS = 8
_MOVES = 8
"""The looks and moves that are printed; --json has all that the proxy sends."""
_MEDIUM = 100
"""The columns of a terminal that have room for the times and shares of each look."""
_FEWEST = 1
"""The looks, and the moves, that the smallest screen shows."""


def unit_lines(unit: RolloutUnit, width: int, room: int | None = None) -> list[RenderableType]:
    """Return all about a rollout, to be printed one after the other. `room`: the lines of a screen; None: no bound."""
    status = unit.status
    head: list[RenderableType] = [Text.from_markup(_headline(unit)), *_facts(unit)]
    look = status.looks[-1] if status.looks else None
    if look is not None:
        head += [Text(), Text.from_markup(_look_title(look)), _arms(look), *_reasons(look)]
    tail = _notes(status)
    looks, moves = _rows(len(head) + len(tail) + 2, room)
    parts = [*head]
    if len(status.looks) > 1:
        parts += [Text(), _looks(status.looks[-looks:], width)]
    if status.moves:
        parts += [Text(), _moves(status.moves[-moves:])]
    return [*parts, *([Text(), *tail] if tail else [])]


def _rows(taken: int, room: int | None) -> tuple[int, int]:
    """Return how many looks and moves there is room for. Their tables have a title and a blank line before it."""
    if room is None:
        return _LOOKS, _MOVES
    each = max(_FEWEST, (room - taken - 4) // 2)
    return min(_LOOKS, each), min(_MOVES, each)


def _headline(unit: RolloutUnit) -> str:
    status = unit.status
    step = step_text(status.step, status.steps)
    return f"[bold]{escape(status.route)}[/]: {state_markup(status.state)} at {status.percent:g} %, {step}"


def _facts(unit: RolloutUnit) -> Iterator[Text]:
    status = unit.status
    if len(unit.routes) > 1:
        others = ", ".join(name for name in unit.routes if name != status.route)
        yield _fact("group", escape(f"{status.group}: it moves as one with {others}, and the numbers are their sum"))
    yield _fact("ladder", ladder_markup(status))
    if status.since is not None:
        yield _fact("since", f"{minute_text(status.since)} UTC")
    until = "" if status.until is None else f", until {minute_text(status.until)} UTC"
    yield _fact("waits for", escape(waits_text(status.waits_for, next_percent(status.steps, status.percent)) + until))
    if status.why:
        yield _fact("why", safe_markup(status.why))
    yield _fact("next", escape(_next(status)))
    yield _fact("callers", f"{status.callers:,} different ones of the candidate")
    if status.failed_looks:
        yield _fact("bad looks", f"[yellow]{status.failed_looks} in a row[/]")
    yield _fact("commands", ", ".join(status.commands) or "none")


def _fact(name: str, markup: str) -> Text:
    return Text.from_markup(f"{name:<{_LABEL}}{markup}")


def _next(status: RolloutStatus) -> str:
    """Return what a person can do now."""
    command = person_command(status)
    if command is not None:
        down = f"; or `{command_text('back', status)}`" if _may_go_back(status) else ""
        return f"`{command}`{down}"
    if status.waits_for == "gate":
        return f"`strangler ready {shlex.quote(status.route)}` says what the gate lacks"
    if status.waits_for == "kill_switch":
        return "turn the kill switch off, or enable the route; `strangler status` says which it is"
    if status.state == "done":
        return "nothing: the last step has held"
    return "nothing: it goes down by itself" if status.state == "backing" else "nothing: it goes on by itself"


def _may_go_back(status: RolloutStatus) -> bool:
    return "back" in status.commands and status.percent > 0


def _look_title(look: RolloutLook) -> str:
    at = look.at[:19].replace("T", " ")
    return f"[bold]last look[/] {at} UTC at {look.percent:g} %: {verdict_markup(look.verdict)}"


def _arms(look: RolloutLook) -> Table:
    made = table("arm", "failed>", "p95>", "callers>")
    made.add_row("legacy", failed_text(look.legacy), p95_text(look.legacy), "")
    made.add_row("candidate", failed_text(look.candidate), p95_text(look.candidate), f"{look.callers:,}")
    return made


def _reasons(look: RolloutLook) -> list[Text]:
    return [Text.from_markup(f"- {safe_markup(reason)}") for reason in look.reasons]


def _looks(looks: Sequence[RolloutLook], width: int) -> Table:
    is_medium = width >= _MEDIUM
    of_times = ("p95>",) if is_medium else ()
    made = table("look", "at %>", "verdict", "failed, legacy>", *of_times, "failed, candidate>", *of_times, "callers>")
    for look in looks:
        cells = [_arm_cells(arm, is_medium) for arm in (look.legacy, look.candidate)]
        made.add_row(
            minute_text(look.at)[5:],
            f"{look.percent:g}",
            verdict_markup(look.verdict),
            *cells[0],
            *cells[1],
            f"{look.callers:,}",
        )
    return made


def _arm_cells(arm: RolloutArmNumbers, is_medium: bool) -> tuple[str, ...]:
    if is_medium:
        return failed_text(arm), p95_text(arm)
    return (f"{arm.failed:,}/{arm.requests:,}",)


def _moves(moves: Sequence[RolloutMove]) -> Table:
    made = table("moved", "what", "percent>", "who", "why")
    for move in moves:
        made.add_row(
            minute_text(move.at)[5:],
            look_text(move.what),
            percents_text(move.what, move.from_, move.to),
            safe_markup(move.who),
            safe_markup(move.why),
        )
    return made


def _notes(status: RolloutStatus) -> list[Text]:
    return [Text.from_markup(f"[yellow]note[/]: {safe_markup(note)}") for note in status.notes]
