"""One connection of a mirroring proxy, request by request.

    head ──▶ route? ──▶ 204 ──▶ body, to its end ──▶ both arms are asked

The 204 says nothing but that the request has come: the proxy waits for nothing, and learns of no failure of ours.
"""

from math import inf

from strangler.clock import now, unix_now
from strangler.control.receiver.kept_body import KeptBody
from strangler.control.receiver.receiving import Receiving
from strangler.control.receiver.senders import Found, Sender
from strangler.core.fault import Fault
from strangler.core.http import problem
from strangler.core.http.problem import Problem, problem_of, render
from strangler.core.routing.received import COMPARED, Uncompared
from strangler.http1.client_connection import ClientConnection
from strangler.http1.http_date import http_date
from strangler.http1.request import Request
from strangler.http1.request_ids import RequestIds

_STAY_10 = b"Connection: keep-alive\r\n"
_CLOSE = b"Connection: close\r\n"
_NOT_MALFORMED = {
    problem.LOOP: Uncompared.SHADOW,
    problem.METHOD_NOT_ALLOWED: Uncompared.UNSAFE,
    problem.UNKNOWN_METHOD: Uncompared.UNSAFE,
    problem.TOO_MANY_CONNECTIONS: Uncompared.DROPPED,
}
"""The requests that a worker refuses and a receiver only drops: the mirroring proxy has nothing to learn from it."""


async def serve(client: ClientConnection, receiving: Receiving, sender: Sender) -> None:
    """Serve one connection until one side is done."""
    while (request := await client.next_request()) is not None:
        refusal = request.refusal
        if refusal is None and request.fault is not None and request.fault is not Fault.CLIENT_GONE:
            refusal = problem_of(request.fault)
        if refusal is not None:
            _refuse(client, request, refusal, receiving)
        else:
            await _receive(client, request, receiving, sender)


async def _receive(client: ClientConnection, request: Request, receiving: Receiving, sender: Sender) -> None:
    found = sender.find(client, request, unix_now())
    kept = _keep(request, found, receiving)
    is_unsent = _awaits_100(request)
    is_last = is_unsent or (sender.ends_upgrades and request.request_headers.has_upgrade)
    keep = request.request_headers.keep_alive and not is_last and not client.server.is_draining
    client.begin_response(_no_content(request, keep=keep), None, chunked=False)
    if not is_unsent:
        await _read_body(client, request)
    is_whole = _is_whole(request)
    if isinstance(found, Found) and is_whole:
        result = _offer(found, kept, receiving)
    else:
        kept.release()
        result = found if isinstance(found, Uncompared) else Uncompared.DROPPED
    receiving.count(Uncompared.MALFORMED if request.fault is Fault.CLIENT_PROTOCOL else result)
    client.end_request(keep=keep and is_whole and request.fault is None)


def _keep(request: Request, found: Found | Uncompared, receiving: Receiving) -> KeptBody:
    """Have the body kept as far as a comparison needs it, and everything that comes read."""
    shadow = None if isinstance(found, Uncompared) else found.route.settings.shadow
    kept = KeptBody(receiving.budget, 0 if shadow is None else shadow.max_body_bytes)
    if request.body is not None:
        request.body.release()
        request.body.attach(kept, b"", chunked=False)
    return kept


def _awaits_100(request: Request) -> bool:
    """Return whether the body is only sent on request (RFC 9110 section 10.1.1). It is not: the 204 ends it."""
    body = request.body
    return body is not None and not body.is_finished and not body.received_bytes and b"expect" in request.fields


async def _read_body(client: ClientConnection, request: Request) -> None:
    limit_s = client.server.limits.idle_timeout_s
    client.deadline = inf if limit_s is None else now() + limit_s
    while not _is_whole(request) and request.fault is None:
        await client.task


def _is_whole(request: Request) -> bool:
    return request.body is None or request.body.is_finished


def _offer(found: Found, kept: KeptBody, receiving: Receiving) -> str:
    """Hand a request over to be compared. Return what became of it, as the metric counts it."""
    if kept.why_lost is not None:
        receiving.count_dropped(found.route.name, kept.why_lost)
        return Uncompared.DROPPED
    return COMPARED if receiving.take(found.capture(kept.take())) else Uncompared.DROPPED


def _refuse(client: ClientConnection, request: Request, refusal: Problem, receiving: Receiving) -> None:
    """Drop what cannot be read, and close: where the next request begins is unknown. It gets no 5xx, which proxies
    take for a failure of this machine."""
    result = _NOT_MALFORMED.get(refusal)
    receiving.count(result or Uncompared.MALFORMED)
    if result is not None:
        client.write_problem(_no_content(request, keep=False))
    else:
        malformed = refusal if refusal.status < 500 else refusal._replace(status=400)
        request_id = RequestIds(request.request_headers).request_id.decode("latin-1")
        is_head = request.method == b"HEAD"
        client.write_problem(render(malformed, request_id, http_date(), close=True, bodyless=is_head))
    client.end_request(keep=False)


def _no_content(request: Request, *, keep: bool) -> bytes:
    connection = (_STAY_10 if request.request_headers.is_http10 else b"") if keep else _CLOSE
    return b"HTTP/1.1 204 No Content\r\nDate: %b\r\n%b\r\n" % (http_date(), connection)
