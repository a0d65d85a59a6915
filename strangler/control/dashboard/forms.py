"""The forms of the pages: each reads its fields, runs one action, and redirects to a page with the outcome."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from yarl import URL

from strangler.control.dashboard.actions import (
    ActionError,
    LedgerChange,
    RolloutCommand,
    change_ledger,
    command_rollout,
    resume,
    review,
    turn,
)
from strangler.control.dashboard.cached_ledger import CachedLedgerState
from strangler.control.dashboard.cached_queries import EvidenceState, chosen_open
from strangler.control.dashboard.layout import MAX_REFUSALS_LENGTH
from strangler.control.dashboard.ledger_view import endpoint_url
from strangler.control.dashboard.pages import FILTERS
from strangler.control.dashboard.rollout_view import rollout_url
from strangler.control.dashboard.visit import Visit, form_text, read_form


class Forms:
    """The handlers of the forms for actions."""

    def __init__(self, evidence: EvidenceState, ledger: CachedLedgerState) -> None:
        self._evidence = evidence
        self._ledger = ledger

    async def turn_kill_switch(self, visit: Visit) -> web.Response:
        """Turn the kill switch on or off, for a route or for all."""
        form = await read_form(visit.request)
        on, route = form_text(form, "on") == "1", form_text(form, "route") or None
        await turn(visit.state, on, form_text(form, "reason"), visit.actor, route)
        outcome = "killed" if on else "alive"
        if route is None:
            return visit.see(URL("/").with_query(said=outcome))
        has_page = any(each.name == route for each in visit.state.settings.routes)
        page = URL("/routes") / route if has_page else URL("/")
        return visit.see(page.with_query(said=f"route-{outcome}"))

    async def resume_shadow(self, visit: Visit) -> web.Response:
        """Resume the shadow of a route."""
        form, name = await read_form(visit.request), visit.request.match_info["name"]
        await resume(visit.state, name, form_text(form, "why"), visit.actor)
        return visit.see((URL("/routes") / name).with_query(said="resumed"))

    async def review_one(self, visit: Visit) -> web.Response:
        """Review the difference of a page."""
        form, name = await read_form(visit.request), visit.request.match_info["name"]
        fields = _review_fields(form)
        await review(visit.state, self._evidence, [name], fields, visit.actor)
        return visit.see((URL("/signatures") / name).with_query(said=fields["state"]))

    async def change_ledger(self, visit: Visit) -> web.Response:
        """Change a row of the ledger, and lead back to the page of the endpoint, also if a fold has renamed it."""
        form = await read_form(visit.request)
        what, page = form_text(form, "what"), form_text(form, "page")
        change = LedgerChange(what, form_text(form, "endpoint"), form_text(form, "name"), form_text(form, "why"))
        await change_ledger(visit.state, change, visit.actor)
        self._ledger.forget()
        found = await visit.state.ledger.endpoint(page)
        if found is None:
            return visit.see(URL("/ledger").with_query(said=what))
        outcome = "shown" if what == "ignore" and not found.row.is_ignored else what
        return visit.see(URL(endpoint_url(found.row.endpoint)).update_query(said=outcome))

    async def move_rollout(self, visit: Visit) -> web.Response:
        """Give a rollout a command."""
        form, name = await read_form(visit.request), visit.request.match_info["name"]
        command = RolloutCommand(
            form_text(form, "command"),
            form_text(form, "why"),
            _percent(form_text(form, "percent")),
            is_confirmed=form_text(form, "confirmed") == "1",
        )
        await command_rollout(visit.state, name, command, visit.actor)
        return visit.see(URL(rollout_url(name)).with_query(said=f"rollout-{command.command}"))

    async def review_many(self, visit: Visit) -> web.Response:
        """Review the ticked rows, or all that the page's filters match."""
        form = await read_form(visit.request)
        fields = _review_fields(form)
        by = {key: form_text(form, f"by_{key}") for key in FILTERS}
        if form_text(form, "which") == "all":
            rows = chosen_open(await self._evidence.inbox(visit.state.store, visit.state.settings), by)
            names = [row.id for row in rows]
        else:
            names = [name for name in form.getall("id", []) if isinstance(name, str)]
        done = await review(visit.state, self._evidence, names, fields, visit.actor)
        query = {key: value for key, value in by.items() if value} | {
            "said": "bulk",
            "state_said": fields["state"],
            "changed": str(done.changed),
            "unchanged": str(done.unchanged),
            "refused": str(len(names) - done.changed - done.unchanged),
            "why_not": "; ".join(done.refused)[:MAX_REFUSALS_LENGTH],
        }
        return visit.see(URL("/signatures").with_query(query))


def _review_fields(form: Mapping[str, Any]) -> dict[str, str]:
    return {key: form_text(form, key) for key in ("state", "owner", "why", "until")}


def _percent(text: str) -> float | None:
    """Return the percent of a form; None if it has none. Raises ActionError."""
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise ActionError(400, "The percent must be a number. Nothing was moved.") from None
