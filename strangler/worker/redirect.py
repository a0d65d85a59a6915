# Compiled with mypyc: see docs/hot-path.md.
"""A listener that redirects: every request is sent to the same host and path at https://."""

from strangler.clock import now
from strangler.core.http.problem import NO_HOST
from strangler.core.routing.plan import UNPLANNED
from strangler.http1.client_connection import ClientConnection
from strangler.http1.http_date import http_date
from strangler.worker.call import Call
from strangler.worker.context import WorkerContext
from strangler.worker.deliver import keeps_alive, refuse

_HTTPS_PORT = 443


async def serve_redirects(client: ClientConnection, context: WorkerContext, port: int) -> None:
    """Respond to each request with 308 (RFC 9110 section 15.4.9), or with 400 where its host is unknown."""
    while (call := await client.next_request()) is not None:
        assert isinstance(call, Call)
        call.begin(client, context.policies.snapshot, UNPLANNED, now())
        try:
            _respond(call, port)
        finally:
            context.telemetry.record(call)


def _respond(call: Call, port: int) -> None:
    if call.refusal is not None:
        refuse(call, call.refusal, keep=False)
        return
    if not call.host:
        refuse(call, NO_HOST, keep=True)
        return
    client, keep = call.client, keeps_alive(call)
    call.status = 308
    closing = b"" if keep else b"Connection: close\r\n"
    head = b"HTTP/1.1 308 Permanent Redirect\r\nLocation: %b\r\nContent-Length: 0\r\nDate: %b\r\n%b\r\n" % (
        location(call, port),
        http_date(),
        closing,
    )
    client.begin_response(head, None, chunked=False)
    client.end_request(keep=keep)


def location(call: Call, port: int) -> bytes:
    """Return the https:// URL of a request: its host, the port, and path and query byte for byte."""
    where = b"" if port == _HTTPS_PORT else b":%d" % port
    path = call.path if call.path.startswith(b"/") else b"/"
    query = b"" if call.query is None else b"?" + call.query
    return b"https://" + call.host + where + path + query
