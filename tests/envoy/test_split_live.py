"""The real Envoy sends each caller to the arm that our own split names, and nobody goes back when the percent rises."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import RouteSettings, Settings
from strangler.envoy.place import Switches
from strangler.envoy.render import render
from strangler.envoy.resources import ROUTES
from tests import factories as f
from tests.envoy.exchanges import arms, request
from tests.envoy.running import RunningEnvoy, place_in, run_placed, visible, wait_for, with_responders

KEYS = 4_200
"""The keys of each source and percent, asked for twice: 100,000 requests in all."""

SOURCES = ("header:X-User-Id", "cookie:sid", "client_ip")
PERCENTS = ((0.01, 5.0), (5.0, 33.33), (25.0, 50.0), (75.0, 99.99))
"""Percents, each with what it rises to."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A request of a caller: as it is sent, and as our own engine reads it."""

    path: str
    fields: tuple[tuple[str, str], ...]
    client_ip: str

    @property
    def raw(self) -> bytes:
        return request(self.path, fields=self.fields)


def route(place: int, source: str, percent: float) -> RouteSettings:
    name = f"r{place}{source.partition(':')[0]}"
    sticky = [source, *(other for other in SOURCES if other != source)]
    return f.route(name, f"/{name}", percent=percent, sticky=sticky, group=f"group {place}", fallback=None)


def settings(which: int) -> Settings:
    routes = [route(place, source, pair[which]) for place, pair in enumerate(PERCENTS) for source in SOURCES]
    return f.settings(routes, trusted_proxies=("127.0.0.0/8",))


def by_header(number: int) -> tuple[tuple[str, str], ...]:
    odd = (str(number), f"u-{number:x}", f"ü{number}", f"{number} a", f'"{number}"', f"{number:064d}", f"A,{number}")
    return (("X-User-Id", odd[number % len(odd)]),)


def by_cookie(number: int) -> tuple[tuple[str, str], ...]:
    plain = (f"sid={number}", f"a=b; sid={number:x}; c=d", f"sid={number}; sid=1")
    odd = (*plain, f'sid="{number}"', f"xsid=1; sid= {number}")
    return (("Cookie", odd[number % len(odd)]),)


def address(number: int) -> str:
    return f"10.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}"


def callers(source: str, path: str, count: int) -> Iterator[Caller]:
    fields: Callable[[int], tuple[tuple[str, str], ...]] = by_header if source.startswith("header") else by_cookie
    for number in range(count):
        if source == "client_ip":
            yield Caller(path, (("X-Forwarded-For", address(number)),), address(number))
        else:
            yield Caller(path, fields(number), "127.0.0.1")


def expected(snapshot: Snapshot, sent: Sequence[Caller]) -> list[str]:
    heads = (f.head(each.path, headers=each.fields, client_ip=each.client_ip) for each in sent)
    return [snapshot.plan(head, lambda: 0.5).arm.value for head in heads]


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningEnvoy, int, Settings]]:
    placed, responders = with_responders(settings(0))
    with run_placed(placed, responders, tmp_path_factory.mktemp("envoy")) as (started, port):
        yield started, port, placed


def test_a_caller_has_the_same_arm_and_nobody_leaves(envoy: tuple[RunningEnvoy, int, Settings]) -> None:
    started, port, placed = envoy
    sent = {each.name: list(callers(each.split.sticky[0].kind, f"/{each.name}", KEYS)) for each in settings(0).routes}
    before = {name: arms(port, (each.raw for each in found)) for name, found in sent.items()}
    for name, found in sent.items():
        assert before[name] == expected(Snapshot(settings(0), 1), found), name
    risen = replace(placed, routes=settings(1).routes)
    started.replace({ROUTES: visible(render(risen, place_in(started.folder), 8, Switches(), 0.0)).files("2")[ROUTES]})
    wait_for(lambda: started.stat("http.clients.rds.routes.version_text") == "2", "Envoy has the routes")
    for name, found in sent.items():
        after = arms(port, (each.raw for each in found))
        assert after == expected(Snapshot(settings(1), 2), found), name
        moved = {(here, there) for here, there in zip(before[name], after, strict=True) if here != there}
        assert moved == {("legacy", "candidate")}, name
