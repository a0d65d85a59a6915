"""The textbook proxy: a first version with aiohttp. No split, no metrics, no access log: the least it can cost.

python -m benchmarks.textbook PORT UPSTREAM_PORT
"""

import sys
from collections.abc import AsyncIterator

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "transfer-encoding", "upgrade", "proxy-connection"})


def _application(upstream: str) -> web.Application:
    async def session(app: web.Application) -> AsyncIterator[None]:
        connector = TCPConnector(limit=0)
        app["session"] = ClientSession(connector=connector, cookie_jar=DummyCookieJar(), auto_decompress=False)
        yield
        await app["session"].close()

    async def forward(request: web.Request) -> web.StreamResponse:
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP]
        body = request.content.iter_any() if request.can_read_body else None
        url = upstream + request.raw_path
        client: ClientSession = request.app["session"]
        async with client.request(request.method, url, headers=headers, data=body, allow_redirects=False) as reply:
            passed = [(k, v) for k, v in reply.headers.items() if k.lower() not in _HOP_BY_HOP]
            response = web.StreamResponse(status=reply.status, reason=reply.reason)
            response.headers.extend(passed)
            await response.prepare(request)
            async for data in reply.content.iter_any():
                await response.write(data)
            await response.write_eof()
            return response

    application = web.Application(client_max_size=2**30)
    application.cleanup_ctx.append(session)
    application.router.add_route("*", "/{path:.*}", forward)
    return application


def main() -> None:
    port, upstream_port = int(sys.argv[1]), int(sys.argv[2])
    loop = uvloop.new_event_loop()
    web.run_app(
        _application(f"http://127.0.0.1:{upstream_port}"),
        host="127.0.0.1",
        port=port,
        access_log=None,
        print=None,
        loop=loop,
    )


if __name__ == "__main__":
    main()
