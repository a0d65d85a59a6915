"""Which build of the shop a process runs: its release, what it makes validators from, the drifts that it has."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

SHADOW_MARK = "X-Strangler-Shadow"


@dataclass(frozen=True, slots=True)
class Build:
    """One build of the shop.

    salt: goes into each ETag, so that two builds never agree on one, as with real rewrites. built: since when its pages
    are as they are. release: the value of `X-Release` in each response, or None for no such header. drifts: names from
    `legacy_stub.drifts`. is_rewrite: markup is written in the candidate's style. knows_shadows: a request that is
    marked as a shadow changes nothing; a monolith has never heard of the mark.
    """

    salt: str = "legacy"
    built: datetime = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    release: str | None = None
    drifts: frozenset[str] = frozenset()
    is_rewrite: bool = False
    knows_shadows: bool = False

    def is_shadow(self, request: web.Request) -> bool:
        return self.knows_shadows and SHADOW_MARK in request.headers


BUILD = web.AppKey("build", Build)


def rewrite(release: str | None, drifts: frozenset[str], *, knows_shadows: bool) -> Build:
    """Return a build of the candidate."""
    built = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
    return Build("candidate", built, release, drifts, is_rewrite=True, knows_shadows=knows_shadows)


async def name_release(request: web.Request, response: web.StreamResponse) -> None:
    """Put the release into the head of every response, whatever its status (a signal of aiohttp)."""
    release = request.app[BUILD].release
    if release is not None:
        response.headers["X-Release"] = release
