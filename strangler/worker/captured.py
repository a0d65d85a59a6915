# Compiled with mypyc: see docs/hot-path.md.
"""The messages to control that are made of captures, once the client has its response, or a problem instead."""

from strangler.clock import now
from strangler.core.fault import Fault
from strangler.core.result import Result
from strangler.core.routing.aggregate import Joined
from strangler.http1.passing_lines import passing_lines
from strangler.ipc.messages import CandidateFailed, Captured, CapturedResponse
from strangler.worker.attempt import Attempt
from strangler.worker.call import Call


def finish_streamed(call: Call, attempt: Attempt) -> None:
    """Finish the capture of a request whose client has the last byte of an upstream's response."""
    capture = call.capture
    if capture.is_over:
        return
    response, copy = attempt.response, capture.response
    made = CapturedResponse(  # by position: by name it takes twice as long
        0 if response is None else response.status,
        b"" if response is None else response.raw,
        copy.content(),
        None,
        attempt.result.duration_s,
        copy.size,
        copy.is_too_large,
        capture.is_streaming,
    )
    _finish(call, str(attempt.endpoint.key.url), made)


def finish_joined(call: Call, joined: Joined, duration_s: float) -> None:
    """Finish the capture of a request whose client has the joined response of several parts."""
    if call.capture.is_over:
        return
    copy = call.capture.copy_response()
    if call.method != b"HEAD":
        copy.feed(joined.body)
    head = b"".join([b"%b: %b\r\n" % field for field in joined.fields])
    response = CapturedResponse(
        status=200,
        head=b"HTTP/1.1 200 OK\r\n%b\r\n" % head,
        body=copy.content(),
        fault=None,
        duration_s=duration_s,
        size=copy.size,
        is_too_large=copy.is_too_large,
        is_streaming=False,
    )
    if not call.capture.is_over:  # else the worker's limit has ended it
        _finish(call, "", response)


def finish_failed(call: Call, result: Result) -> None:
    """Finish the capture of a request without a response: its client got a problem of the proxy's own.

    A recording has it if an upstream was asked.
    """
    if result.fault in _REFUSED:
        call.capture.leave_recording()
    if not call.capture.is_over and result.fault is not None:
        _finish(call, "", CapturedResponse(0, b"", b"", result.fault.value, result.duration_s, 0, False, False))


_REFUSED = (Fault.FULL, Fault.OPEN)


def _finish(call: Call, url: str, response: CapturedResponse) -> None:
    capture = call.capture
    recording, request = capture.claim_recording(), capture.request
    failed, forwarded = capture.failed, call.client.forwarded
    message = Captured(
        route=capture.route,
        at=capture.at,
        method=call.method,
        target=call.target,
        host=call.host_value,
        lines=passing_lines(call, call.downstream.forwarded, call.trace, forwarded.dropped, call.trace.lines),
        body=request.content(),
        is_body_complete=call.body is None
        or (not capture.is_forgotten and not request.is_too_large and call.body.is_finished),
        request_id=call.trace.request_id,
        traceparent=call.trace.traceparent,
        arm=call.arm,
        upstream=call.upstream,
        url=url,
        response=response,
        failed=None if failed is None else _failure(failed),
        is_from_trusted=forwarded.is_trusted,
        is_for_shadow=capture.is_for_shadow,
        recording=recording,
        caller=capture.caller,
        body_bytes=request.size,
        took_s=now() - call.started if recording else 0.0,
    )
    capture.finish(message)


def _failure(result: Result) -> CandidateFailed:
    fault = result.fault
    return CandidateFailed(None if fault is None else fault.value, result.status, result.duration_s)
