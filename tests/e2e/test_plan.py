"""The plan for a new routes.yaml says what a real proxy then does with the same requests."""

import json
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.e2e.commands import run
from tests.e2e.serving import Proxy

REQUESTS = (
    ("GET", "/api/orders/7"),
    ("POST", "/api/orders"),
    ("GET", "/api/orders/7?draft=1"),
    ("GET", "/api/orders/../users"),
    ("GET", "/reports/a"),
    ("PUT", "/reports/a"),
    ("GET", "/about"),
)
MORE = """\
  - name: drafts
    match: {prefix: /api/orders, query: {draft: "1"}}
    candidate: legacy
  - name: reports
    match: {prefix: /reports, methods: [GET]}
    candidate: orders
    split: {percent: 100}
"""


async def served(proxy: Proxy) -> int:
    """Return how many of the requests the candidate has served."""
    count = 0
    async with aiohttp.ClientSession() as session:
        for method, path in REQUESTS:
            url = URL(f"http://127.0.0.1:{proxy.port}{path}", encoded=True)
            async with session.request(method, url) as response:
                count += response.headers["X-Strangler-Arm"] == "candidate"
    return count


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (100, 3)])
async def test_the_shares_of_a_plan_are_those_of_the_proxy(
    proxy: Proxy, tmp_path: Path, percent: int, expected: int
) -> None:
    log = "".join(
        f'192.0.2.9 - - [20/Nov/2026:08:00:00 +0000] "{method} {path} HTTP/1.1" 200 12 "-" "curl/8.5.0"\n'
        for method, path in REQUESTS
    )
    (tmp_path / "access.log").write_text(log)
    proxy.file.write_text(proxy.routes(percent) + MORE)
    code, text = await run(proxy.folder, "plan", "routes.yaml", "--from-nothing", "--against", "access.log", "--json")
    assert code == 0, text
    predicted = json.loads(text)["served"]["orders"][1]
    await proxy.start()
    assert await served(proxy) == expected
    assert predicted == pytest.approx(100 * expected / len(REQUESTS), abs=0.001)
