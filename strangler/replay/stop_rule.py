"""The rule that ends a replay: more than one request in ten could not be sent."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from strangler.core.compare import Response
from strangler.core.fault import Fault
from strangler.core.settings import Url

MIN_ATTEMPTED: Final = 50
MAX_SHARE: Final = 0.1
_UNSENT: Final = {
    Fault.CONNECT: "no connection was made",
    Fault.RESET: "the connection broke before a response",
    Fault.TIMEOUT: "no response came in time",
}


@dataclass(slots=True)
class StopRuleState:
    """The requests to one upstream, and those of them that could not be sent. A 5xx is evidence, and stops nothing."""

    upstream: str
    attempted: int = 0
    unsent: Counter[tuple[Url | None, Fault]] = field(default_factory=Counter)
    """By the URL and the fault."""

    def add(self, response: Response, url: Url | None) -> None:
        """Count the response to a request, faults included."""
        self.attempted += 1
        if response.fault in _UNSENT and not response.status:
            self.unsent[url, response.fault] += 1

    def reason(self) -> str | None:
        """Return why the replay ends; None if it goes on."""
        count = self.unsent.total()
        if self.attempted < MIN_ATTEMPTED or count <= MAX_SHARE * self.attempted:
            return None
        (url, fault), _ = self.unsent.most_common(1)[0]
        return (
            f"{count} of {self.attempted} requests to '{self.upstream}' ({url}) could not be sent: "
            f"{_UNSENT[fault]} ({fault.value}); see that it runs and can be reached, then replay again"
        )
