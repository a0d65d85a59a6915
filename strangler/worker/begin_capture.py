# Compiled with mypyc: see docs/hot-path.md.
"""The beginning of a capture: whether a request gets a shadow, is recorded, or both, and the credit for it."""

from strangler.core.routing.plan import Plan
from strangler.http1.request import Request
from strangler.worker.capture import NO_CAPTURE, Capture
from strangler.worker.captures import Captures
from strangler.worker.recorder import Recorder
from strangler.worker.shadow_credits import CaptureCredit

MAX_BODY_BYTES = 16 * 1024 * 1024
"""The limit of one body, whatever `max_body` is: larger bodies are not compared, and a frame has its limit."""

_SHADOW = b"x-strangler-shadow"


def begin_capture(captures: Captures, plan: Plan, request: Request, *, is_from_trusted: bool) -> Capture:
    """Return a new capture for a request that is planned to get a shadow, or that is recorded, with the credit.

    `is_from_trusted`: it comes from a trusted proxy, which may mark it as a shadow of its own.
    """
    credit = _shadow_credit(captures, plan, request, is_from_trusted) if plan.shadow else None
    recorder = captures.recorder
    caller: bytes | None = None
    if recorder is not None and not (is_from_trusted and _SHADOW in request.fields):
        caller = recorder.caller(plan, request)
        if caller is not None and recorder.left_bytes <= 0:
            recorder.count_dropped("credit")
            caller = None
    if caller is None:
        recorder = None
    if credit is None and recorder is None:
        return NO_CAPTURE
    route = "" if plan.route is None else plan.route.name
    capture = Capture(captures, route, credit, recorder, _max_bytes(plan, credit, recorder), caller or b"")
    if request.body is not None:
        request.body.observe(capture.copy_request())
    return capture


def _shadow_credit(captures: Captures, plan: Plan, request: Request, is_from_trusted: bool) -> CaptureCredit | None:
    """Take the credit for a shadow; None if there is none, or no shadow is made of this request."""
    route = plan.route
    if route is None:
        return None
    credit = captures.credit(route.name)
    if credit.left <= 0:  # the usual end under load: 0.3 µs
        credit.dropped.inc()
        return None
    if route.settings.shadow is None or (is_from_trusted and _SHADOW in request.fields):
        return None  # another proxy's shadow: its response is compared there
    credit.left -= 1
    return credit


def _max_bytes(plan: Plan, credit: CaptureCredit | None, recorder: Recorder | None) -> int:
    """Return the bytes of a body that are kept: the larger limit of the shadow and the recording."""
    found = 0 if recorder is None else recorder.max_body_bytes
    if credit is not None and plan.route is not None and plan.route.settings.shadow is not None:
        found = max(found, plan.route.settings.shadow.max_body_bytes)
    return min(found, MAX_BODY_BYTES)
