"""The losses of settings that another program gets: keys that it cannot keep."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Loss:
    """One key of the file that another program does not keep, or keeps only nearly."""

    loc: tuple[str | int, ...]
    """The path of the key in the file: `("routes", 0, "fallback", "fence")`."""
    key: str
    """The key without the names of its route or upstream: `fallback.fence`."""
    what: str
    """The matter with it: `is not kept by Envoy`."""
    instead: str
    """The effect in place of it, and the way out where there is one."""
    counts_unwritten: bool = False
    """Whether it is worth a warning where the file leaves the key at its default."""
