"""Sending a recording again: each pair's request is sent where routes.yaml says, and its response is compared."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from strangler.comparing.kept_upstream import KeptUpstream
from strangler.core.compare.model.endpoint_names import TemplateTree
from strangler.core.replaying.caller_order import CallerOrderState
from strangler.core.settings import Settings
from strangler.recordings.recorded import RecordedPair
from strangler.recordings.recording_reader import Recording
from strangler.recordings.redact_in_place import key_id
from strangler.replay.destination import Destinations, ReplayError
from strangler.replay.pair_judging import Judging
from strangler.replay.pair_replay import PairReplay
from strangler.replay.progress import ReplayProgress
from strangler.replay.proxy_listener import proxy_upstream
from strangler.replay.replay_arms import ReplayArms
from strangler.replay.replay_settings import PROXY, ReplaySettings
from strangler.replay.replayed_finding import ReplayedFinding
from strangler.replay.turns import Turns

__all__ = ["ReplayError", "run_replay"]


async def run_replay(
    recording: Recording,
    settings: Settings,
    how: ReplaySettings,
    key: bytes,
    progress: ReplayProgress,
    keep: Callable[[ReplayedFinding], None],
    tree: TemplateTree | None = None,
) -> None:
    """Send the requests of a recording, and keep what their comparisons found. Raises ReplayError and RecordingError.

    `key` is that of redaction. `keep` is called on the event loop's thread. `tree` is that of the ledger: with it the
    endpoints have the names that the inbox has. Cancelling it closes all connections.
    """
    destinations = Destinations(settings, how, key)
    upstreams = _upstreams(settings, how)
    judging = Judging(recording.header.key == key_id(key), tree)
    order = CallerOrderState[RecordedPair](how.speed, time.monotonic(), max_running=how.callers_at_once)
    with ThreadPoolExecutor(1, "read") as reading, ThreadPoolExecutor(1, "compare") as comparing:
        arms = ReplayArms(upstreams, progress, lambda reason: turns.stop(reason))
        pairs = PairReplay(how, destinations, arms, judging, progress, keep, comparing)
        turns = Turns(recording, order, how.callers_at_once, reading, progress, pairs.run, arms.release)
        timing = asyncio.create_task(arms.keep_time())
        try:
            await turns.run()
        finally:
            timing.cancel()
            await asyncio.gather(timing, return_exceptions=True)
            await arms.close()


def _upstreams(settings: Settings, how: ReplaySettings) -> dict[str, KeptUpstream]:
    """Return all that may be sent to. Raises ReplayError."""
    max_idle = 4 * how.callers_at_once
    upstreams = {
        name: KeptUpstream(upstream, settings.files, max_idle=max_idle) for name, upstream in settings.upstreams.items()
    }
    if how.to == PROXY:
        upstreams[PROXY] = proxy_upstream(settings, max_idle)
    return upstreams
