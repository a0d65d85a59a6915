# Compiled with mypyc: see docs/hot-path.md.
"""A request in clear at a listener with TLS: it is told so, in clear, and never forwarded."""

from strangler.clock import now
from strangler.core.http.problem import NOT_TLS
from strangler.core.routing.plan import UNPLANNED
from strangler.http1.client_connection import ClientConnection
from strangler.worker.call import Call
from strangler.worker.context import WorkerContext
from strangler.worker.deliver import refuse


async def refuse_in_clear(client: ClientConnection, context: WorkerContext) -> None:
    """Respond to the first request with 400, and close."""
    while (call := await client.next_request()) is not None:
        assert isinstance(call, Call)
        call.begin(client, context.policies.snapshot, UNPLANNED, now())
        try:
            refuse(call, NOT_TLS if call.refusal is None else call.refusal, keep=False)
        finally:
            context.telemetry.record(call)
