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
    """The candidate at `url`, the release that it names, and how much of what it serves fails.

    release: `YEAR.NUMBER`, of which each change takes the next.
    """

    url: str
    release: str
    harm: Harm = Harm.NONE

    async def toggle(self, harm: Harm, session: ClientSession) -> None:
        """Release the candidate with this harm, or without any if it has it already. Raises ClientError."""
        wanted = Harm.NONE if self.harm is harm else harm
        year, _, number = self.release.partition(".")
        release = f"{year}.{int(number) + 1}"
        changes = [("/release", {"release": release}), ("/faults", {"error_percent": _ERROR_PERCENT[wanted]})]
        if wanted is Harm.NONE:
            changes.reverse()  # so that no response of a mended release fails
        for path, body in changes:
            async with session.put(f"{self.url}{path}", json=body, raise_for_status=True):
                pass
        self.release, self.harm = release, wanted
