"""Actions of an operator on a page: turn the kill switch, resume shadows, review differences, change the ledger, and
move rollouts.

All of them are audited.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from strangler.config.load import load
from strangler.control.dashboard.cached_queries import EvidenceState
from strangler.control.dashboard.pages import Control
from strangler.control.ledger_home import LedgerAwayError
from strangler.control.operator_actions import TurnRefusedError
from strangler.control.rollout.climbs import UnknownRolloutError
from strangler.control.rollout.fleet_keeper import NotFollowedError
from strangler.control.shadow.api import MAX_TEXT, log_marked, resume_problem
from strangler.core.documents import SignatureRow
from strangler.core.rollout.machine import COMMANDS, NoTransitionError, RolloutEvent
from strangler.ledger.actions import LedgerError
from strangler.store.evidence.reviews import (
    MAX_MARKED,
    AcceptPlan,
    Review,
    ReviewError,
    mark,
    plan_accepts,
    write_rules,
)
from strangler.store.store import StoreError
from strangler.times import utc_day

_STATES: Final = ("known", "fixed", "accepted")
LEDGER_CHANGES: Final = ("fold", "unfold", "ignore", "own")


class ActionError(Exception):
    """An action was refused; the message says why. `status` is that of the response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class LedgerChange:
    """The change of one row of the ledger. `endpoint`: for fold, also a path alone; `name`: the owner."""

    what: str
    endpoint: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class RolloutCommand:
    """A command to a rollout. `percent`: of an approval; `announced_at`: of an approval that counts for that
    announcement alone; `is_confirmed`: of the way back."""

    command: str
    why: str
    percent: float | None = None
    announced_at: float | None = None
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of one form, in numbers of differences."""

    changed: int
    unchanged: int  # they were in that state already
    refused: tuple[str, ...]  # why some cannot be accepted


async def turn(state: Control, on: bool, reason: str, actor: str, route: str | None) -> None:
    """Turn the kill switch for a route, or for all (None). It needs a reason to be turned on."""
    if on and not reason:
        raise ActionError(400, "Say why: the reason is shown to everybody while the switch is on.")
    try:
        await state.turn_kill_switch(on, reason[:MAX_TEXT], actor, route)
    except TurnRefusedError as error:
        raise ActionError(error.status, f"Nothing was changed: {error}.") from error
    except OSError as error:
        raise ActionError(507, f"The state folder cannot be written: {error.strerror}.") from error


async def resume(state: Control, route: str, why: str, actor: str) -> None:
    """Start a route's shadows again after they stopped by themselves."""
    refused = resume_problem(state.settings, route)
    if refused is not None:
        raise ActionError(404, f"Nothing was changed: {refused}.")
    if not await state.resume_shadows(route, actor, why[:MAX_TEXT]):
        raise ActionError(409, f"Nothing was changed: shadowing of route '{route}' is not stopped.")


async def change_ledger(state: Control, change: LedgerChange, actor: str) -> None:
    """Change the row of an endpoint: `fold`, `unfold`, `ignore` (again: show it) or `own`."""
    if state.settings.ledger is None:
        raise ActionError(404, "There is no ledger: routes.yaml has `ledger: false`. Nothing was changed.")
    ledger, endpoint = state.ledger, change.endpoint
    try:
        match change.what:
            case "fold":
                done = await ledger.fold(endpoint)
            case "unfold":
                done = await ledger.unfold(endpoint)
            case "ignore":
                done = await ledger.ignore(endpoint)
            case "own":
                done = await ledger.own(endpoint, change.name)
            case _:
                raise ActionError(400, f"A row can be changed by {', '.join(LEDGER_CHANGES)}.")
    except LedgerError as error:
        raise ActionError(409, f"Nothing was changed: {error}.") from error
    except LedgerAwayError as error:
        raise ActionError(503, f"{error}.") from error
    except StoreError as error:
        raise ActionError(507, f"The store cannot be written: {error}. The change is stored once it can be.") from error
    await state.audit(actor, f"ledger {change.what}", "", change.why[:MAX_TEXT], done)


async def command_rollout(state: Control, route: str, command: RolloutCommand, actor: str) -> None:
    """Start, pause, resume or approve a rollout, or send its callers back."""
    if command.command not in COMMANDS:
        raise ActionError(400, f"A rollout can be moved by {', '.join(COMMANDS)}.")
    if command.command == RolloutEvent.BACK and not command.is_confirmed:
        raise ActionError(400, "Tick the box to confirm that callers go back to legacy. Nothing was moved.")
    try:
        await state.rollouts.command(
            route, command.command, actor, command.why[:MAX_TEXT], command.percent, command.announced_at
        )
    except UnknownRolloutError as error:
        raise ActionError(404, f"Nothing was moved: {error}.") from error
    except NoTransitionError as error:
        raise ActionError(409, f"Nothing was moved: {error}.") from error
    except NotFollowedError as error:
        raise ActionError(503, f"Nothing was moved: {error}.") from error
    except StoreError as error:
        raise ActionError(507, f"The store cannot be written: {error}.") from error


async def review(
    state: Control, evidence: EvidenceState, names: Sequence[str], form: Mapping[str, str], actor: str
) -> Done:
    """Review the differences of these ids, all of them or none. Accepting writes rules into routes.yaml, in one edit.

    `form`: state, owner, why, until; empty if not given.
    """
    found = _review(form)
    wanted = dict.fromkeys(names)
    if not wanted:
        raise ActionError(400, "Choose at least one difference.")
    if len(wanted) > MAX_MARKED:
        raise ActionError(400, f"{len(wanted)} differences are too many at once; {MAX_MARKED} are possible.")
    evidence.forget()  # what is chosen may be newer than what the pages show
    rows = await _rows(state, evidence, wanted)
    try:
        if found.state != "accepted":
            return await _mark(state, rows, found, actor)
        plan = await _accept(state, rows, found)
        done = await _mark(state, plan.accepted, found, actor)
        return Done(done.changed, len(plan.already), tuple(dict.fromkeys(reason for _, reason in plan.refused)))
    finally:
        evidence.forget()


async def _rows(state: Control, evidence: EvidenceState, names: Collection[str]) -> list[SignatureRow]:
    """Return the differences of these ids: of the current release, or a single one of an earlier release."""
    wanted = await evidence.present_ids(state.store, names)
    rows = [row for row in await evidence.inbox(state.store, state.settings) if row.id in wanted]
    missing = wanted - {row.id for row in rows}
    earlier = await evidence.signature(state.store, state.settings, missing.pop()) if len(missing) == 1 else None
    rows += [] if earlier is None else [earlier]
    if len(rows) < len(wanted):
        raise ActionError(404, "There is no such difference. Nothing was changed.")
    return rows


def _review(form: Mapping[str, str]) -> Review:
    word = form["state"]
    if word not in _STATES:
        raise ActionError(400, f"A difference can be {', '.join(_STATES)}.")
    owner, why, until = (form[key][:MAX_TEXT] or None for key in ("owner", "why", "until"))
    if word == "accepted" and why is None:
        raise ActionError(400, "Say why it is allowed: the reason is kept in routes.yaml.")
    return Review(word, owner, why, until)


async def _mark(state: Control, rows: Sequence[SignatureRow], found: Review, actor: str) -> Done:
    names = [row.id for row in rows]
    try:
        marked = await state.store.call(lambda connection: mark(connection, names, found, actor, state.evidence.now()))
    except StoreError as error:
        raise ActionError(507, f"The store cannot be written: {error}.") from error
    if marked.unknown:
        raise ActionError(404, "There is no such difference. Nothing was changed.")
    log_marked(found, marked, actor)
    return Done(len(marked.changed), len(marked.unchanged), ())


async def _accept(state: Control, rows: Sequence[SignatureRow], found: Review) -> AcceptPlan:
    """Write the missing rules into the file as it is now, which may be newer than what is in force."""
    reload = state.reload
    try:
        plan = await asyncio.to_thread(_plan, state, rows, found)
        if not plan.accepted and not plan.already:
            raise ReviewError(plan.refused[0][1])
        await asyncio.to_thread(write_rules, reload.path, reload.environ, plan.rules)
    except ReviewError as error:
        raise ActionError(409, f"Nothing was changed: {error}.") from error
    return plan


def _plan(state: Control, rows: Sequence[SignatureRow], found: Review) -> AcceptPlan:
    loaded = load(state.reload.path, state.reload.environ)
    if loaded.settings is None:
        raise ReviewError(f"routes.yaml has problems: {loaded.problems[0]}")
    return plan_accepts(rows, loaded.settings, found, utc_day())
