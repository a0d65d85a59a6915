"""The raw cases against nginx, HAProxy and Envoy: where independent proxies agree with a case, the case is about HTTP
and not about us. A case that a peer treats otherwise names it, with the reason, and is left out for that peer."""

import pytest

from tests.http1 import test_raw_framing, test_raw_requests, test_raw_responses
from tests.http1.envoy_cases import TABLES
from tests.http1.proxies import Proxy
from tests.http1.raw import Case, run
from tests.http1.scripted import ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="session")

CASES = [*test_raw_requests.CASES, *test_raw_responses.CASES, *test_raw_framing.CASES]


@pytest.mark.parametrize("case", [c for c in CASES if "nginx" not in c.differs], ids=lambda case: case.id)
async def test_nginx_agrees(case: Case, nginx: Proxy, raw_upstream: ScriptedUpstream) -> None:
    await run(case, nginx, raw_upstream)


@pytest.mark.parametrize("case", [c for c in CASES if "haproxy" not in c.differs], ids=lambda case: case.id)
async def test_haproxy_agrees(case: Case, haproxy: Proxy, raw_upstream: ScriptedUpstream) -> None:
    await run(case, haproxy, raw_upstream)


@pytest.mark.parametrize(
    "case", [case for cases, differs in TABLES for case in cases if case.id not in differs], ids=lambda case: case.id
)
async def test_envoy_agrees(case: Case, envoy: Proxy, raw_upstream: ScriptedUpstream) -> None:
    await run(case, envoy, raw_upstream)
