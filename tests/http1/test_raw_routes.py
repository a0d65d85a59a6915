"""A route that rewrites the path: the candidate sees its own paths, the client sees the public ones, byte for byte."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
import pytest_asyncio

from tests.http1 import proxies
from tests.http1.conftest import STANDARD
from tests.http1.proxies import Proxy
from tests.http1.raw import Case, Delivery, crlf, deliveries, get, passed, returned, run
from tests.http1.scripted import ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="session")

_ROUTES = """
  orders:
    url: http://127.0.0.1:{candidate}
    bulkhead: false
    breaker: false
    retry: false
routes:
  - name: orders
    match: {{{{prefix: /api/orders}}}}
    candidate: orders
    split: {{{{percent: 100}}}}
    rewrite: {{{{prefix: /v2/o}}}}
    fallback: false
"""


_PREFIX = {b"x-forwarded-prefix": rb"/api/orders"}
"""The prefix of the client's paths that stands for the candidate's."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def candidate() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def ours_rewriting(
    raw_upstream: ScriptedUpstream, candidate: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    config = (STANDARD + _ROUTES).format(upstream=raw_upstream.port, candidate=candidate.port)
    with proxies.strangler(config, tmp_path_factory.mktemp("strangler")) as proxy:
        yield proxy


def _rewritten(public: bytes, seen: bytes) -> Case:
    return replace(
        passed(
            f"{public.decode('latin-1')} is {seen.decode('latin-1')}", "DESIGN 4", get(public), reaches=(get(seen),)
        ),
        arm=b"candidate",
        added=_PREFIX,
    )


PATHS = [
    _rewritten(b"/api/orders", b"/v2/o"),
    _rewritten(b"/api/orders/", b"/v2/o/"),
    _rewritten(b"/api/orders/7", b"/v2/o/7"),
    _rewritten(b"/api/orders?x=%2F&y", b"/v2/o?x=%2F&y"),
    _rewritten(b"/api/orders/?", b"/v2/o/?"),
    _rewritten(b"/api/orders/a%20b/caf%C3%A9", b"/v2/o/a%20b/caf%C3%A9"),
    _rewritten(b"/api/orders/7?next=/api/orders", b"/v2/o/7?next=/api/orders"),
]


def _located(name: bytes, sent: bytes, seen: bytes) -> Case:
    def response(location: bytes) -> bytes:
        return crlf(b"HTTP/1.1 303 See Other", b"X: 1", name + b": " + location, b"Content-Length: 0")

    case = returned(
        f"{name.decode()} {sent.decode()}",
        "9110 10.2.2",
        response(sent),
        client=get(b"/api/orders/7"),
        reaches=(get(b"/v2/o/7"),),
        responses=(response(seen),),
    )
    return replace(case, arm=b"candidate", added=_PREFIX)


LOCATIONS = [
    _located(b"Location", b"/v2/o/8", b"/api/orders/8"),
    _located(b"location", b"/v2/o", b"/api/orders"),
    _located(b"Content-Location", b"/v2/o/8?x=%2F#part", b"/api/orders/8?x=%2F#part"),
    _located(b"Location", b"http://a/v2/o/8", b"http://a/api/orders/8"),
    _located(b"Location", b"http://A:80/v2/o/8?y", b"http://A:80/api/orders/8?y"),
    _located(b"Location", b"//a/v2/o/8", b"//a/api/orders/8"),
    _located(b"Location", b"http://elsewhere/v2/o/8", b"http://elsewhere/v2/o/8"),
    _located(b"Location", b"/v2/other", b"/v2/other"),
    _located(b"Location", b"/login?back=/v2/o/8", b"/login?back=/v2/o/8"),
    _located(b"Location", b"8", b"8"),
    _located(b"Location", b"?page=2", b"?page=2"),
    _located(b"X-Location", b"/v2/o/8", b"/v2/o/8"),
]


@pytest.mark.parametrize(("case", "delivery"), deliveries([*PATHS, *LOCATIONS]))
async def test_the_candidate_sees_its_paths_and_the_client_the_public_ones(
    case: Case, delivery: Delivery, ours_rewriting: Proxy, candidate: ScriptedUpstream
) -> None:
    await run(case, ours_rewriting, candidate, delivery, probe=b"/api/orders/wire-probe")


_NOT_SURELY = rb"""
/api/ordersx /api / /API/orders /api//orders/7 /api/orders/../users /api/orders/%2e%2e/users /api/orders/..%2fusers
/api/%6frders/../x /api/orders/..;/users /api\orders /x/../api/orders
""".split()
LEGACY = [passed(f"{path.decode('latin-1')} goes to legacy untouched", "DESIGN 4", get(path)) for path in _NOT_SURELY]


@pytest.mark.parametrize("case", LEGACY, ids=lambda case: case.id)
async def test_paths_that_do_not_surely_match_reach_legacy_as_they_are(
    case: Case, ours_rewriting: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    await run(case, ours_rewriting, raw_upstream)


async def test_a_location_names_the_candidates_own_address(ours_rewriting: Proxy, candidate: ScriptedUpstream) -> None:
    """A candidate that answers with its own authority does not send the client there."""
    own = b"http://127.0.0.1:%d/v2/o/8" % candidate.port
    await run(_located(b"Location", own, b"/api/orders/8"), ours_rewriting, candidate, probe=b"/api/orders/wire-probe")
