"""A certificate that ends soon is reported once, and its time is a metric."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from strangler.control.app import ControlApp
from strangler.times import rfc3339
from tests.certificates import Pair, make_pair
from tests.control.control import control_of, in_force

ROUTES = """\
version: 1
listen:
  - {address: 127.0.0.1:8443, tls: {certificates: [{cert: shop.pem, key: shop.key}]}}
  - {address: 127.0.0.1:9443, tls: {certificates: [{cert: shop.pem, key: shop.key}, {cert: far.pem, key: far.key}]}}
admin: {listen: 127.0.0.1:0, tls: {certificates: [{cert: far.pem, key: far.key}]}}
state: state
upstreams: {legacy: {url: http://127.0.0.1:8000}}
"""
DAY = timedelta(days=1)


def soon(days: float) -> Pair:
    return make_pair(["Shop.example", "www.shop.example"], not_after=datetime.now(UTC) + days * DAY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    make_pair(["far.example"]).write(tmp_path, "far")
    return tmp_path


async def reported(app: ControlApp) -> list[Any]:
    await app.events.publisher.write()
    entries = await app.read_events(0, 0.0, 100)
    return [entry.event.data for entry in entries if entry.event.type == "certificate.expiring"]


async def test_it_is_reported_once_though_two_listeners_have_it(folder: Path) -> None:
    pair = soon(13)
    pair.write(folder, "shop")
    now = time.time()
    async with control_of(folder, {}) as app:
        await app.events.certificates.look(now - 2 * DAY.total_seconds())
        assert await reported(app) == []
        await app.events.certificates.look(now)
        await app.events.certificates.look(now + 60)
        (data,) = await reported(app)
        assert data.pop("days") == pytest.approx(13, abs=0.1)
        assert data == {
            "listener": "127.0.0.1:8443",
            "name": "shop.example",
            "file": str(folder / "shop.pem"),
            "expires": rfc3339(pair.not_after),
        }


async def test_a_restart_does_not_report_it_again(folder: Path) -> None:
    soon(13).write(folder, "shop")
    for _ in range(2):
        async with control_of(folder, {}) as app:
            await app.events.certificates.look(time.time())
            assert len(await reported(app)) == 1


async def test_each_certificate_is_reported(folder: Path) -> None:
    soon(13).write(folder, "shop")
    async with control_of(folder, {}) as app:
        await app.events.certificates.look(time.time())
    soon(5).write(folder, "shop")
    async with control_of(folder, {}) as app:
        await app.events.certificates.look(time.time())
        assert [data["days"] for data in await reported(app)] == pytest.approx([13, 5], abs=0.1)


async def test_the_time_left_is_a_metric_and_negative_once_it_is_over(folder: Path) -> None:
    soon(1).write(folder, "shop")
    async with control_of(folder, {}) as app:
        gauges = app.events.certificates.gauges()
        assert {labels: value for (name, labels), value in gauges.items()} == {
            ("127.0.0.1:8443", "shop.example"): pytest.approx(DAY.total_seconds(), abs=60),
            ("127.0.0.1:9443", "shop.example"): pytest.approx(DAY.total_seconds(), abs=60),
            ("127.0.0.1:9443", "far.example"): pytest.approx(365 * DAY.total_seconds(), abs=60),
            ("127.0.0.1:0", "far.example"): pytest.approx(365 * DAY.total_seconds(), abs=60),
        }
        exposed = await app.numbers()
        assert exposed.gauges.keys() >= gauges.keys()
        settings = app.settings
        app.events.certificates.adopt(in_force(settings))
