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
    """Grants credits to workers, and abandons held captures when the kill switch is turned on."""

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

    def note_capture(self, route: str) -> None:
        """Note a capture, used or not: the credit of its route changes."""
        self._busy.add(route)

    def credit(self, route: ShadowRoute) -> tuple[int, str]:
        """Return how many more captures of a route can be used, and the reason for the limit."""
        reason = self._why_none()
        return route.room(self._table.upstreams) if reason is None else (0, reason)

    def grant(self, *routes: str) -> None:
        """Grant credits for these routes, or for all if none is given."""
        self._grant(routes or self._table.routes)

    def grant_changed(self) -> None:
        """Grant credits for busy routes, or for all routes if a common reason has changed."""
        before, self._common_reason = self._common_reason, self._why_none()
        if before != self._common_reason:
            self._publish_halt(before, self._common_reason)
            if self._common_reason == "killed":
                self._held.abandon("killed", lambda route: True)
            self.grant()
            return
        self._grant(self._busy)
        routes = self._table.routes
        self._busy = {name for name in self._busy if name in routes and self._is_busy(routes[name])}

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
