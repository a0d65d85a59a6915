"""The match of every route as judged now, for the status, its table and the dashboard.

Routes are judged in a thread and only after a change, for at most `BUDGET_S` at a time and a tenth of the time: if very
many routes change, a figure is some seconds old. A route without evidence costs nothing.
"""

import asyncio
import time
from datetime import date
from typing import Final

import structlog

from strangler.control.reload import InForce
from strangler.core.compare import compile_rules
from strangler.core.documents import MatchFigures
from strangler.core.settings import Settings
from strangler.store.connection import Connection
from strangler.store.evidence import reading
from strangler.store.evidence.judging import Matches
from strangler.store.store import Store
from strangler.times import utc_day

LOOK_EVERY_S: Final = 1.0
BUDGET_S: Final = 0.2
"""The longest time of judging in each `LOOK_EVERY_S`; the last route may take longer."""

_REST: Final = 9
"""The pause after judging, as a multiple of its time."""

log = structlog.get_logger()


class FiguresState:
    """Owns the matches of all routes."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._found: dict[str, Matches] = {}
        self._due: dict[str, None] = {}
        """The routes to judge again, the one that has waited longest first."""
        self._number = 0
        """The number of the last change that was read."""
        self._judged_by: tuple[Settings, date] | None = None

    def adopt(self, in_force: InForce) -> None:
        """Judge by these settings from now on."""
        self._settings = in_force.settings

    def of(self, route: str) -> MatchFigures | None:
        """Return the figures of a route; None if nothing was ever compared."""
        found = self._found.get(route)
        if found is None:
            return None
        return MatchFigures(found.release or None, found.pairs, found.matches, found.share)

    async def run(self) -> None:
        """Judge changed routes, at most every second, until cancelled."""
        taken_s = 0.0
        while True:
            await asyncio.sleep(max(LOOK_EVERY_S, _REST * taken_s))
            began = time.monotonic()
            await self.look()
            taken_s = time.monotonic() - began

    async def look(self) -> None:
        """Judge changed routes within the time budget. If the store cannot be read, there are no figures."""
        try:
            await reading.ask(self._store, self._judge)
        except reading.NoEvidenceError as error:  # logged by the store itself
            log.debug("figures.unknown", reason=str(error))
            self._found.clear()
            self._judged_by, self._number = None, 0

    def _judge(self, connection: Connection) -> None:
        """Judge the routes that are due. This runs in a thread, which alone writes these attributes."""
        settings, today = self._settings, utc_day()
        self._note_changes(connection, settings, today)
        routes = {route.name: route for route in settings.routes}
        until = time.monotonic() + BUDGET_S
        while self._due and time.monotonic() < until:
            name = next(iter(self._due))
            del self._due[name]
            route = routes.get(name)
            if route is None:
                self._found.pop(name, None)
                continue
            rules = {name: compile_rules(route.compare)}
            self._found[name] = reading.matches(connection, name, rules, today, route.gate.sources)

    def _note_changes(self, connection: Connection, settings: Settings, today: date) -> None:
        last = reading.last_change(connection)
        is_new = self._judged_by is None or self._judged_by[0] is not settings or self._judged_by[1] != today
        since = 0 if is_new or last < self._number else self._number
        if last < self._number:  # another store
            self._found.clear()
        self._due.update(dict.fromkeys(reading.changed_routes(connection, since)))
        self._number, self._judged_by = last, (settings, today)
