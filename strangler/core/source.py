"""The sources of evidence: shadows of a running proxy, and replays of a recording."""

from typing import Final, Literal, TypeAlias

Source: TypeAlias = Literal["live", "replay"]

LIVE: Final = "live"
"""The source of comparisons that shadows of the running proxy made."""
REPLAY: Final = "replay"
"""The source of comparisons that the replay of a recording made."""
SOURCES: Final[tuple[Source, ...]] = ("live", "replay")
LIVE_ONLY: Final[tuple[Source, ...]] = ("live",)
"""The sources that a gate counts by default."""
