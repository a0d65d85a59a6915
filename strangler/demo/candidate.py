"""The candidate that a visitor breaks and mends: each time a new release of it, as after a deployment."""

from dataclasses import dataclass
from enum import StrEnum

from aiohttp import ClientSession


class Harm(StrEnum):
    NONE = "none"
    SOME = "some"
    ALL = "all"


_ERROR_PERCENT = {Harm.NONE: 0, Harm.SOME: 10, Harm.ALL: 100}


@dataclass(slots=True)
class CandidateState:
    """The candidate of a route, its release, and how much of what it serves fails.

    url: that of the candidate. admin: that of the proxy's admin listener. release: `YEAR.NUMBER`, of which each change
    takes the next.
    """

    url: str
    admin: str
    route: str
    release: str
    harm: Harm = Harm.NONE

    async def toggle(self, harm: Harm, session: ClientSession) -> None:
        """Release the candidate with this harm, or without any if it has it already. Raises ClientError."""
        wanted = Harm.NONE if self.harm is harm else harm
        year, _, number = self.release.partition(".")
        release = f"{year}.{int(number) + 1}"
        if wanted is Harm.NONE:
            await self._fail(wanted, session)  # no response of the mended release fails
            await self._name(release, session)
        else:
            await self._name(release, session)
            await self._fail(wanted, session)
        self.release, self.harm = release, wanted

    async def begin(self, session: ClientSession) -> None:
        """Name the release that runs. Raises ClientError."""
        await self._name(self.release, session)

    async def _fail(self, harm: Harm, session: ClientSession) -> None:
        faults = {"error_percent": _ERROR_PERCENT[harm]}
        async with session.put(f"{self.url}/faults", json=faults, raise_for_status=True):
            pass

    async def _name(self, release: str, session: ClientSession) -> None:
        """Name a release to the proxy, as `strangler release` does in a deploy pipeline."""
        body = {"route": self.route, "name": release, "who": "strangler demo"}
        async with session.post(f"{self.admin}/api/releases", json=body, raise_for_status=True):
            pass
