"""The build of the shop that a process runs: its release, the salt of its validators, its drifts."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

SHADOW_MARK = "X-Strangler-Shadow"


@dataclass(frozen=True, slots=True)
class Build:
    """One build of the shop.

    salt: goes into each ETag, so that two builds never have the same, as with real rewrites. built: the Last-Modified
    of its pages. release: the value of `X-Release` in each response, or None for no such header. drifts: names from
    `legacy_stub.drifts`. is_rewrite: markup is written in the candidate's style. knows_shadows: a request that is
    marked as a shadow changes nothing; a monolith does not know the mark.
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
    """Add the release to the head of every response, whatever its status (a signal handler of aiohttp)."""
    release = request.app[BUILD].release
    if release is not None:
        response.headers["X-Release"] = release
