# Compiled with mypyc: see docs/hot-path.md.
"""The recording that control wants of this worker: which requests, of which callers, and how many bytes of them."""

from hashlib import blake2b

from strangler.core.http.addresses import caller_of
from strangler.core.routing.plan import Plan
from strangler.http1.request import Request
from strangler.ipc.messages import RecordingWanted
from strangler.ipc.metrics import Metrics

_HASHES = 1 << 64


class Recorder:
    """One recording, until control ends it. Who is recorded is a hash of the caller under a key that only the proxy
    knows: the same callers for all routes, and nobody can choose to be among them."""

    __slots__ = ("_below", "_key", "_metrics", "_routes", "left_bytes", "max_body_bytes", "number", "sent_bytes")

    def __init__(self, wanted: RecordingWanted, metrics: Metrics) -> None:
        self.number = wanted.number
        self.max_body_bytes = wanted.max_body_bytes
        self.sent_bytes = 0
        self.left_bytes = wanted.credit_bytes
        """The bytes that control has room for; below 0 after a capture that was larger than that."""
        self._routes = None if wanted.routes is None else frozenset(wanted.routes)
        self._below = int(wanted.share * _HASHES)
        self._key = wanted.key
        self._metrics = metrics

    def caller(self, plan: Plan, request: Request) -> bytes | None:
        """Return the caller of a request that is to be recorded; None if it is not."""
        route = plan.route
        if plan.refusal is not None:
            return None
        if self._routes is not None and (route is None or route.name not in self._routes):
            return None
        key = None if route is None else plan.sticky_key or route.split.sticky_key(request)
        caller = key or caller_of(request.client_ip)  # an empty header tells nobody apart
        return caller if self._below >= _HASHES or self._hash(caller) < self._below else None

    def allow(self, credit_bytes: int) -> None:
        """Adopt the bytes that control takes of this recording, counted from its beginning."""
        self.left_bytes = credit_bytes - self.sent_bytes

    def spend(self, size: int) -> None:
        """Count a capture that is sent to control."""
        self.sent_bytes += size
        self.left_bytes -= size

    def count_dropped(self, reason: str) -> None:
        """Count a request that was to be recorded, and is not."""
        self._metrics.counter("strangler_recording_dropped_total", reason).inc()

    def _hash(self, caller: bytes) -> int:
        return int.from_bytes(blake2b(caller, key=self._key, digest_size=8).digest(), "big")
