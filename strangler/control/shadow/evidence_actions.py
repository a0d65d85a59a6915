"""Actions on the evidence of a route: name the release that it belongs to, or set it aside."""

from collections.abc import Callable, Sequence

from strangler.control.shadow.batch import Replayed
from strangler.control.shadow.held_captures import HeldCaptures
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.runner import ShadowRunner
from strangler.control.shadow.writer import FindingWriter
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.releases_state import ReleasesState
from strangler.store.store import StoreError


class EvidenceActions:
    """Runs the actions while the proxy runs."""

    def __init__(
        self,
        runner: ShadowRunner,
        writer: FindingWriter,
        releases: ReleasesState,
        table: ShadowRouteTable,
        held: HeldCaptures,
        now: Callable[[], float],
    ) -> None:
        self._runner = runner
        self._writer = writer
        self._releases = releases
        self._table = table
        self._held = held
        self._now = now

    def now(self) -> float:
        """Return Unix time, as all nodes of the store have it."""
        return self._now()

    def is_set_aside(self, route: str, name: str) -> bool:
        """Return whether this is the name of evidence that was set aside."""
        return self._releases.is_set_aside(route, name)

    async def name_release(self, route: str, name: str) -> tuple[str, bool]:
        """Make a release the current one of a route. Return the former one, and whether that is a change.

        Raises StoreError; the release is current anyway then, and stored as soon as possible.
        """
        former = self._releases.current(route)
        is_new = self._releases.name(route, name, self._now())
        if not await self._runner.store():
            raise StoreError(self._writer.reason)
        return former, is_new

    @property
    def cannot_take_replays(self) -> str | None:
        """Why no findings of a replay can be taken at the moment; None if they can."""
        if not self._writer.can_store:
            return f"nothing can be stored at the moment: {self._writer.reason}"
        return "the findings of shadows come first, and many wait" if self._writer.is_busy else None

    async def add_replayed(self, findings: Sequence[Finding], run: str, actor: str) -> int:
        """Add findings of a replay to the evidence. Return how many are stored. Raises StoreError; none is then."""
        return await self._writer.add_replayed(findings, Replayed(run, actor))

    async def reset(self, route: str) -> list[str]:
        """Set aside all evidence of a route, and drop its held captures. Return the names under which it can be read.

        Raises StoreError; nothing has changed then, except that the held captures are dropped.
        """
        self._held.abandon("reset", lambda shadow_route: shadow_route.name == route)
        try:
            names = await self._writer.set_aside(route)
        finally:
            if not self._writer.is_ready:
                self._runner.grant_credits()
        if route in self._table.routes:
            self._table.routes[route].begin_anew()
        return names
