"""The runner of shadows: each capture is compared or dropped, and the finding is stored. No client waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import structlog

from strangler.control.reload import InForce
from strangler.control.shadow.arms import CapturedArms
from strangler.control.shadow.captured_limits import within
from strangler.control.shadow.carrier import EndpointCarrier
from strangler.control.shadow.comparison import ShadowComparison
from strangler.control.shadow.counters import ShadowCounters
from strangler.control.shadow.credits import CaptureCredits
from strangler.control.shadow.held_captures import HeldCaptures
from strangler.control.shadow.key import redaction_key
from strangler.control.shadow.naming import TreeSource
from strangler.control.shadow.received_comparison import ReceivedComparison
from strangler.control.shadow.route import ShadowRoute
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.writer import FindingWriter
from strangler.core.settings import Settings
from strangler.ipc.messages import Captured
from strangler.state.kill_switch import KillSwitchState
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.releases_state import ReleasesState
from strangler.store.store import StoreError

CREDITS_EVERY_S = 0.05

log = structlog.get_logger()


class ShadowSpans(Protocol):
    """The maker of spans of shadows."""

    def shadow_begins(self, captured: Captured) -> tuple[Captured, Any]: ...
    def shadow_ends(self, span: Any, finding: Finding) -> None: ...


class ShadowRunner:
    """Runs the comparison of each capture for which there is credit."""

    def __init__(
        self,
        folder: Path,
        table: ShadowRouteTable,
        releases: ReleasesState,
        index: IndexState,
        held: HeldCaptures,
        writer: FindingWriter,
        credits_: CaptureCredits,
        counters: ShadowCounters,
        halt: Callable[[ShadowRoute, str], None],
        spans: ShadowSpans,
        carrier: EndpointCarrier,
        tree: TreeSource,
        check_keys: Callable[[], object],
    ) -> None:
        """`check_keys` raises OSError while the key in the folder is not to be used."""
        self._check_keys = check_keys
        self._folder = folder
        self._table = table
        self._releases = releases
        self._index = index
        self._held = held
        self._writer = writer
        self._credits = credits_
        self._counters = counters
        self._halt = halt
        self._spans = spans
        self._carrier = carrier
        self._tree = tree
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compare")

    # 1. What is in force

    async def restore(self) -> None:
        """Read the key, and the stops of an earlier control of this run. No capture is taken before that."""
        try:
            if self._table.key is None:
                self._check_keys()
                self._table.key = await asyncio.to_thread(redaction_key, self._folder)
                self._follow(self._table.settings)  # so that workers know why there is no credit
            await self._writer.restore()
            await self._carrier.look()
        except OSError as error:
            self._fail(f"the key for redaction cannot be used: {self._folder}: {error.strerror}")
        except StoreError as error:
            self._fail(f"the store: {error}")
        else:
            self._follow(self._table.settings)

    async def take_key(self) -> None:
        """Read the key again, since another one may be in the state folder."""
        self._table.key, self._table.routes = None, {}
        await self.restore()

    def _fail(self, problem: str) -> None:
        self._writer.fail(problem)
        self._credits.grant()

    def adopt(self, in_force: InForce) -> None:
        """Follow new settings. Captures of changed routes are abandoned."""
        self._follow(in_force.settings)

    def _follow(self, settings: Settings) -> None:
        replaced = self._table.adopt(settings)
        if self._table.key is None:
            return
        self._writer.hint()
        self._held.abandon("reloaded", lambda route: self._table.has_changed(route, replaced))
        self._credits.grant()

    def turned(self, kill_switch: KillSwitchState) -> None:
        """Abandon held captures at once if the kill switch was turned on, not at the next interval."""
        self._credits.grant_changed()

    # 2. Captures

    def grant_credits(self, *routes: str) -> None:
        """Grant credits for these routes, or for all if none is given."""
        self._credits.grant(*routes)

    def take(self, captured: Captured) -> None:
        """Begin the comparison of a capture, or count it as dropped."""
        self._take(captured, ShadowComparison)

    def take_received(self, captured: Captured) -> bool:
        """Begin the comparison of a mirrored request, or count it as dropped. Return whether it has begun."""
        return self._take(captured, ReceivedComparison)

    def count_dropped(self, route: str, reason: str) -> None:
        """Count a mirrored request that was given up before it could be compared."""
        self._counters.count_dropped(route, reason)

    def _take(self, captured: Captured, kind: type[ShadowComparison]) -> bool:
        self._credits.note_capture(captured.route)
        route = self._table.routes.get(captured.route)
        if route is None:
            self._counters.count_dropped(captured.route, "reloaded")
            return False
        credit, reason = self._credits.credit(route)
        if credit <= 0:
            self._counters.count_dropped(route.name, reason)
            return False
        captured = within(captured, route.shadow.max_body_bytes)
        size = len(captured.body) + len(captured.response.body)
        self._held.begin(route, size, self._run(captured, route, kind))
        return True

    async def _run(self, captured: Captured, route: ShadowRoute, kind: type[ShadowComparison]) -> None:
        captured, span = self._spans.shadow_begins(captured)
        try:
            finding = await self._comparison(captured, route, kind).run()
            if span is not None:
                self._spans.shadow_ends(span, finding)
            self._writer.add(finding)
        except Exception:  # a bug of ours costs only this comparison
            log.exception("shadow.failed", route=route.name)
            self._counters.count_dropped(route.name, "failed")

    def _comparison(self, captured: Captured, route: ShadowRoute, kind: type[ShadowComparison]) -> ShadowComparison:
        arms = CapturedArms(
            captured=captured,
            route=route,
            upstreams=self._table.upstreams,
            served_url=self._table.served_url(captured.url, captured.upstream),
            halt=self._halt,
            releases=self._releases,
            tree=self._tree(),
        )
        return kind(arms, self._index, self._threads)

    # 3. Background tasks

    async def run(self) -> None:
        """Grant credits, write findings and rename endpoints, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_granting())
            group.create_task(self._keep_storing())
            group.create_task(self._carrier.run())

    async def _keep_granting(self) -> None:
        while True:
            await asyncio.sleep(CREDITS_EVERY_S)
            self._credits.grant_changed()

    async def _keep_storing(self) -> None:
        while True:
            await self._writer.wait_until_due()
            if not self._writer.is_restored:
                await self.restore()
            await self.store()
            await self._table.close_replaced()

    async def store(self) -> bool:
        """Write what is pending, and return whether it is stored now. While that fails, no capture is taken."""
        is_stored = await self._writer.store()
        if not is_stored:
            self._credits.grant()
        return is_stored

    async def close(self) -> None:
        """Abandon held captures, and write pending findings."""
        await self._held.close()
        await self.store()
        await self._table.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
