# Compiled with mypyc: see docs/hot-path.md.
"""The write fences of callers as one worker knows them, and the new ones that it has to share."""

from collections.abc import Iterable, Iterator

from strangler.clock import now
from strangler.core.resilience.write_fence import FenceMark, WriteFence
from strangler.core.routing.route import Route
from strangler.core.routing.split import Split
from strangler.worker.call import Call

_MAX_NEW_MARKS = 50_000
"""How many marks may wait while control is too slow to take them."""


class CallerFences:
    """The callers that wrote to the candidate recently."""

    def __init__(self) -> None:
        self._fence = WriteFence()
        self._new_marks: list[FenceMark] = []
        self.has_marks = False
        """True if a caller is fenced, or was until a short while ago."""

    def is_fenced(self, call: Call) -> bool:
        """Return True if the candidate has accepted a write of this caller recently."""
        route, key = call.plan.route, sticky_key(call)
        if route is None or key is None:
            return False
        return self._fence.is_fenced(route.settings.split.group, key, now())

    def fence_writer(self, call: Call, route: Route, cookies: dict[bytes, bytes | None], fence_s: float) -> None:
        """Fence the caller of a write. A first write may begin a session: then the caller's only key is the one that
        the response gives it."""
        if not fence_s:
            return
        for key in {sticky_key(call), route.split.sticky_key_after(call, cookies)}:
            if key is not None:
                self._record(route.settings.split.group, key, now(), fence_s)

    def follow_caller(
        self, call: Call, cookies: dict[bytes, bytes | None], splits: Iterable[tuple[Split, tuple[str, ...]]]
    ) -> None:
        """Move the fence along when a fenced caller gets another key, as by a login or a logout."""
        at = now()
        for split, groups in splits:
            key, after = split.sticky_key(call), split.sticky_key_after(call, cookies)
            if key is None or after is None or after == key:
                continue
            for group in groups:
                until = self._fence.until(group, key, at)
                if until is not None:
                    self._record(group, after, at, until - at)

    def merge(self, marks: Iterable[FenceMark]) -> None:
        """Take in the marks of another worker."""
        for mark in marks:
            self._fence.merge(mark, now())
        self.has_marks = len(self._fence) > 0

    def marks(self) -> Iterator[FenceMark]:
        """Yield all marks that still hold."""
        return self._fence.marks(now())

    def take_new_marks(self) -> list[FenceMark]:
        """Return the marks not yet sent to the other workers, and forget that they are new."""
        marks, self._new_marks = self._new_marks, []
        return marks

    def put_back(self, marks: Iterable[FenceMark]) -> None:
        """Keep marks that could not be sent for the next time; the oldest go if there are too many."""
        self._new_marks += marks
        del self._new_marks[:-_MAX_NEW_MARKS]

    def _record(self, group: str, key: bytes, at: float, fence_s: float) -> None:
        self._new_marks.append(self._fence.record(group, key, at, fence_s))
        self.has_marks = len(self._fence) > 0


def sticky_key(call: Call) -> bytes | None:
    """Return the key by which the route knows the caller, if any."""
    plan = call.plan
    if plan.sticky_key is not None or plan.route is None:
        return plan.sticky_key
    return plan.route.split.sticky_key(call)
