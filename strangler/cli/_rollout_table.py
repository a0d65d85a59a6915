"""The rollouts as a table, one row for each group, and what they need of a person."""

import shlex
from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.table import Table

from strangler.cli._ledger_table import share_text
from strangler.cli._rollout_units import RolloutUnit
from strangler.cli._tables import table
from strangler.core.documents import RolloutArmNumbers, RolloutLook, RolloutStatus
from strangler.core.plain import plain_line
from strangler.core.rollout_text import ladder_text, look_text, next_percent, waits_text

STATE_STYLES = {"waiting": "", "running": "cyan", "paused": "yellow", "done": "green", "backing": "bold red"}
VERDICT_STYLES = {"good": "green", "bad": "bold red", "not_enough": "dim"}
_WIDE = 130
_MEDIUM = 100
"""The columns of a terminal that have room for all figures, and for most of them."""
_MINUTE = 16
"""The characters of a time to the minute."""


def units_table(units: Sequence[RolloutUnit], width: int) -> Table:
    """Return the table; a narrow terminal has fewer columns. Times are in UTC, as everywhere."""
    is_medium, is_wide = width >= _MEDIUM, width >= _WIDE
    made = table(
        "route",
        "state",
        "percent",
        *(("since",) if is_medium else ()),
        "waits for",
        *(("last look",) if is_medium else ()),
        *(("failed, legacy>", "failed, candidate>", "callers>") if is_wide else ()),
    )
    for column in made.columns[1:]:
        column.no_wrap = True
    for unit in units:
        status = unit.status
        look = status.looks[-1] if status.looks else None
        made.add_row(
            escape(unit.title),
            state_markup(status.state),
            ladder_markup(status),
            *((minute_text(status.since),) if is_medium else ()),
            escape(_waits(status)),
            *((_look(look),) if is_medium else ()),
            *(_failures(look) if is_wide else ()),
        )
    return made


def state_markup(state: str) -> str:
    style = STATE_STYLES.get(state, "")
    return f"[{style}]{state}[/]" if style else state


def ladder_markup(status: RolloutStatus) -> str:
    """Return the ladder with the present percent in bold, for a terminal that has it."""
    here = f"[{status.percent:g}]"
    return escape(ladder_text(status.steps, status.percent)).replace(escape(here), f"[bold]{escape(here)}[/]")


def verdict_markup(verdict: str) -> str:
    style = VERDICT_STYLES.get(verdict, "")
    return f"[{style}]{look_text(verdict)}[/]" if style else look_text(verdict)


def safe_markup(text: str) -> str:
    """Return a text that a person gave, as one line of markup that shows it as it is."""
    return escape(plain_line(text))


def minute_text(at: str | None) -> str:
    """Return `2026-11-30 14:02`, in UTC."""
    return "-" if at is None else at[:_MINUTE].replace("T", " ")


def failed_text(arm: RolloutArmNumbers) -> str:
    """Return `12 of 3,400 (0.353 %)`."""
    share = f" ({share_text(arm.failed / arm.requests)})" if arm.requests else ""
    return f"{arm.failed:,} of {arm.requests:,}{share}"


def p95_text(arm: RolloutArmNumbers) -> str:
    return "-" if arm.p95_ms is None else f"{arm.p95_ms:,.0f} ms"


def _waits(status: RolloutStatus) -> str:
    text = waits_text(status.waits_for, next_percent(status.steps, status.percent))
    return text if status.until is None else f"{text} until {minute_text(status.until)}"


def _look(look: RolloutLook | None) -> str:
    return "[dim]-[/]" if look is None else f"{verdict_markup(look.verdict)} {minute_text(look.at)[-5:]}"


def _failures(look: RolloutLook | None) -> tuple[str, str, str]:
    if look is None:
        return "-", "-", "-"
    return failed_text(look.legacy), failed_text(look.candidate), f"{look.callers:,}"


def next_lines(units: Sequence[RolloutUnit]) -> Iterator[str]:
    """Yield a line of markup for each rollout that waits for a person, with the command that goes on."""
    for unit in units:
        command, why = person_command(unit.status), unit.status.why
        if command is not None:
            way_out = "" if "strangler rollout " in why else f": [bold]{escape(command)}[/]"
            yield f"[yellow]{escape(unit.title)}[/]: {safe_markup(why or 'it waits for a person')}{way_out}"


def person_command(status: RolloutStatus) -> str | None:
    """Return the command that a rollout waits for; None if it waits for none."""
    if status.waits_for == "approve":
        percent = next_percent(status.steps, status.percent)
        return command_text("approve", status) + ("" if percent is None else f" {percent:g}")
    if status.waits_for in ("start", "resume") and status.waits_for in status.commands:
        return command_text(status.waits_for, status)
    return None


def command_text(command: str, status: RolloutStatus) -> str:
    return f"strangler rollout {command} {shlex.quote(status.route)}"
