"""The page of an approval link: what the link approves, and a form. The link is the permission; no login is needed.

Chats and mail programs fetch links to show a preview, so GET and HEAD change nothing.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from strangler.control.dashboard.actions import ActionError, RolloutCommand, command_rollout
from strangler.control.dashboard.layout import Layout
from strangler.control.dashboard.page_content import Content
from strangler.control.dashboard.rollout_pages import group_routes
from strangler.control.dashboard.rollout_view import last_look
from strangler.control.dashboard.visit import Visit, form_text, read_form
from strangler.control.rollout.approval_links import is_pending
from strangler.control.rollout.approval_token import (
    Approval,
    BrokenLinkError,
    ExpiredLinkError,
    ForgedLinkError,
    LinkError,
)
from strangler.core.documents import RolloutMove, RolloutStatus
from strangler.times import rfc3339

_GONE: Final = 410
_CONFLICT: Final = 409
_REFUSALS: Final[Mapping[type[LinkError], tuple[int, str]]] = {
    BrokenLinkError: (400, "This link is not complete. Copy it as a whole, up to its last character, and try again."),
    ForgedLinkError: (
        403,
        "This link was not made here, or was changed on its way. A link of another proxy, or of another state folder,"
        " does not count here.",
    ),
}


class ApprovalPage:
    """The handlers of the link and of its form."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    async def show(self, visit: Visit) -> web.Response:
        """Return what the link approves, with the form; or why it approves nothing, and what has happened since."""
        token = visit.request.query.get("token", "")
        approval = await self._read(visit, token)
        if isinstance(approval, web.Response):
            return approval
        state = visit.state
        routes = group_routes(state.settings, approval.group)
        status = state.rollouts.of(routes[0]) if routes else None
        if status is None or not is_pending(state.rollouts.position(approval.group), approval):
            return self._spent(visit, approval)
        if "approve" not in status.commands:  # paused, say; the link stays valid
            lines = (f"{approval.percent:g} % of {routes[0]} cannot be approved now.", status.why)
            return self._page(visit, "Nothing was approved", lines, _CONFLICT)
        context = {
            "status": status,
            "routes": routes,
            "percent": approval.percent,
            "expires": rfc3339(approval.expires),
            "look": last_look(status),
            "token": token,
        }
        heading = f"Approve {approval.percent:g} % of {routes[0]}?"
        return self._page(visit, heading, (status.why,), 200, context)

    async def approve(self, visit: Visit) -> web.Response:
        """Approve the percent of the link, once."""
        form = await read_form(visit.request)
        approval = await self._read(visit, form_text(form, "token"))
        if isinstance(approval, web.Response):
            return approval
        state = visit.state
        routes = group_routes(state.settings, approval.group)
        if not routes or not is_pending(state.rollouts.position(approval.group), approval):
            return self._spent(visit, approval)
        command = RolloutCommand("approve", form_text(form, "why"), approval.percent, approval.at)
        await command_rollout(state, routes[0], command, visit.visitor.name("approval link"))
        lines = (
            f"{approval.percent:g} % of {', '.join(routes)} is approved. It is entered once all else is there: good"
            " evidence, the hold, and the plan's window.",
        )
        return self._page(visit, "Approved", lines, 200)

    async def _read(self, visit: Visit, token: str) -> Approval | web.Response:
        """Return what a token approves, or the page that says why it approves nothing."""
        try:
            return await visit.state.approvals.read(token, time.time())
        except ExpiredLinkError as error:
            return self._spent(visit, error.approval, is_expired=True)
        except LinkError as error:
            status, text = _REFUSALS[type(error)]
            return self._page(visit, "Nothing was approved", (text,), status)
        except OSError as error:
            raise ActionError(507, f"The key of links in the state folder cannot be read: {error.strerror}.") from error

    def _spent(self, visit: Visit, approval: Approval, *, is_expired: bool = False) -> web.Response:
        """Return the page of a link that was valid once. It tells of the link's own rollout, and of nothing else."""
        state, pending = visit.state, False
        routes = group_routes(state.settings, approval.group)
        status = state.rollouts.of(routes[0]) if routes else None
        lines: list[str] = []
        if is_expired:
            lines.append(f"This link has expired: it was valid until {_stamp(rfc3339(approval.expires))}.")
            pending = is_pending(state.rollouts.position(approval.group), approval)
        lines += happened_since(status, approval, is_pending=pending)
        return self._page(visit, "Nothing was approved", lines, _GONE if is_expired else _CONFLICT)

    def _page(
        self, visit: Visit, heading: str, lines: Sequence[str], status: int, more: Mapping[str, Any] | None = None
    ) -> web.Response:
        context = {"heading": heading, "lines": lines, "status": None, **(more or {})}
        return self._layout.page(visit, Content(heading, "rollout_approve.html", context), status)


def happened_since(status: RolloutStatus | None, approval: Approval, *, is_pending: bool) -> list[str]:
    """Return, in sentences, the events since a link was sent: who approved, where the rollout has gone, where it is."""
    if status is None:
        return [f"'{approval.group}' has no rollout any more."]
    percent = f"{approval.percent:g} %"
    if is_pending:
        way_out = f"approve it in the dashboard, or by `strangler rollout approve {status.route}`"
        return [f"{percent} of {status.route} still waits: {way_out}."]
    since = rfc3339(approval.at)
    moves = [move for move in status.moves if move.at >= since]
    approved = next((move for move in moves if move.what == "approve" and move.to == approval.percent), None)
    gone = [move for move in moves if move.what in ("stepped", "failed") and move.from_ != move.to]
    lines = []
    if approved is not None:
        lines.append(f"{percent} of {status.route} is approved already: by {approved.who}, {_stamp(approved.at)}.")
    elif gone:
        lines.append(f"The link is spent: the rollout of {status.route} has moved since.")
    else:
        lines.append(f"The link is spent: {percent} of {status.route} does not wait for this approval any more.")
    lines += [_move_text(move) for move in gone[-1:]]
    return [*lines, f"The rollout is {status.state} at {status.percent:g} %."]


def _move_text(move: RolloutMove) -> str:
    return f"It went from {move.from_:g} % to {move.to:g} %, {_stamp(move.at)}: {move.why}."


def _stamp(time_text: str) -> str:
    return f"{time_text[:16].replace('T', ' ')} UTC"
