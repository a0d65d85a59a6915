"""The credits of workers: how many more captures of each route can be used, or why none."""

from collections.abc import Iterable
from math import ceil

from strangler.control.links import WorkerLinks
from strangler.control.shadow.held_captures import HeldCaptures
from strangler.control.shadow.listener import EvidenceListener
from strangler.control.shadow.route import ShadowRoute
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.writer import FindingWriter
from strangler.ipc.messages import CaptureGrant


class CaptureCredits:
    """Grants credits to workers, and abandons the held captures that the kill switch is turned on for."""

    def __init__(
        self,
        links: WorkerLinks,
        table: ShadowRouteTable,
        writer: FindingWriter,
        held: HeldCaptures,
        listener: EvidenceListener,
    ) -> None:
        self._links = links
        self._table = table
        self._writer = writer
        self._held = held
        self._listener = listener
        self._busy: set[str] = set()
        """The routes whose credit may have changed."""
        self._common_reason: str | None = None
        self._killed: frozenset[str] = frozenset()
        """The routes that the kill switch is on for by themselves."""

    def note_capture(self, route: str) -> None:
        """Note a capture, used or not: the credit of its route changes."""
        self._busy.add(route)

    def credit(self, route: ShadowRoute) -> tuple[int, str]:
        """Return how many more captures of a route can be used, and the reason for the limit."""
        reason = self._why_none() or self._why_none_of(route.name)
        return route.room(self._table.upstreams) if reason is None else (0, reason)

    def grant(self, *routes: str) -> None:
        """Grant credits for these routes, or for all if none is given."""
        self._grant(routes or self._table.routes)

    def grant_changed(self) -> None:
        """Grant credits for busy routes, or for all routes if a common reason has changed."""
        self._follow_kill_switch()
        before, self._common_reason = self._common_reason, self._why_none()
        if before != self._common_reason:
            self._publish_halt(before, self._common_reason)
            if self._common_reason == "killed":
                self._held.abandon("killed", lambda route: True)
            self.grant()
            return
        self._grant(self._busy)
        routes = self._table.routes
        left = self._busy - self._killed  # the credit of the others stays 0 until the switch is turned
        self._busy = {name for name in left if name in routes and self._is_busy(routes[name])}

    def _follow_kill_switch(self) -> None:
        """Abandon the captures of routes that it was turned on for, and note those that it was turned for at all."""
        before, self._killed = self._killed, frozenset(self._links.state.kill_switch.routes)
        if before != self._killed:
            self._busy |= before ^ self._killed
            added = self._killed - before
            self._held.abandon("killed", lambda route: route.name in added)

    def _publish_halt(self, before: str | None, after: str | None) -> None:
        """Publish that findings can no longer be stored, or can be again."""
        if after == "store":
            self._listener.publish_halt(self._writer.reason)
        elif before == "store":
            self._listener.publish_resumption()

    def _is_busy(self, route: ShadowRoute) -> bool:
        return bool(route.open) or self.credit(route)[0] < route.shadow.in_flight

    def _grant(self, names: Iterable[str]) -> None:
        count = max(1, len(self._links.state.workers))
        grants = []
        for name in names:
            if name in self._table.routes:
                credit, reason = self.credit(self._table.routes[name])
                grants.append(CaptureGrant(name, ceil(credit / count), reason))
        self._links.grant(grants)

    def _why_none(self) -> str | None:
        """Return why no route can have shadows at the moment, or None."""
        if not self._writer.is_ready:
            return "store"
        if self._links.state.kill_switch.on:
            return "killed"
        return "memory" if self._held.is_full else None

    def _why_none_of(self, route: str) -> str | None:
        return "killed" if route in self._links.state.kill_switch.routes else None
