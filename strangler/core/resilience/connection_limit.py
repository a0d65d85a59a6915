# Compiled with mypyc: see docs/hot-path.md.
"""The limit of a worker's connections: how many each client holds, and which one gives way when there are no more.

One client may use all of `limits.connections` as long as no other client needs any. Once all are taken, a newcomer
from an address that holds few takes the place of a connection of the address that holds most; a newcomer from the
address that holds most is turned away. So a flood from one address costs that address its own connections, no others.

It is used once per connection, never per request, and each call takes the same time however many addresses there are:
addresses are kept by the number of their connections.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import Generic, TypeVar

_T = TypeVar("_T")


class ConnectionLimit(Generic[_T]):
    """The connections of one worker by address. An address is any bytes that stand for one client."""

    __slots__ = ("_by_number", "_members", "_most", "total")

    def __init__(self) -> None:
        self.total = 0
        self._members: dict[bytes, dict[_T, None]] = {}  # inner dicts are ordered sets
        self._by_number: defaultdict[int, dict[bytes, None]] = defaultdict(dict)
        self._most = 0

    def held(self, address: bytes) -> int:
        return len(self._members.get(address, ()))

    def enter(self, address: bytes, member: _T) -> None:
        """Add a new connection, whether or not it will be served."""
        members = self._members.setdefault(address, {})
        members[member] = None
        self.total += 1
        self._move(address, len(members) - 1, len(members))
        self._most = max(self._most, len(members))

    def leave(self, address: bytes, member: _T) -> None:
        """Remove a connection that has ended."""
        members = self._members[address]
        del members[member]
        self.total -= 1
        self._move(address, len(members) + 1, len(members))
        if not members:
            del self._members[address]
        if self._most not in self._by_number:
            self._most -= 1

    def address_to_yield(self, address: bytes) -> bytes | None:
        """Return the address that must give up a connection for a new one of `address`, or None.

        Call it before `enter`. The other address must give way if, with one less, it still holds more than `address`.
        """
        if self._most - 1 <= self.held(address):
            return None
        return next(iter(self._by_number[self._most]))

    def some(self, address: bytes, count: int) -> Iterator[_T]:
        """Yield up to `count` connections of an address, others each time: those yielded go to the end of the queue."""
        members = self._members[address]
        for member in list(islice(members, count)):
            del members[member]
            members[member] = None
            yield member

    def _move(self, address: bytes, before: int, after: int) -> None:
        if before:
            del self._by_number[before][address]
            if not self._by_number[before]:
                del self._by_number[before]
        if after:
            self._by_number[after][address] = None


def client_key(address: str) -> bytes:
    """Return what counts as one client: an IPv4 address, or an IPv6 /64, which usually belongs to one client."""
    if ":" not in address:
        return address.encode()
    head, gap, tail = address.partition("::")
    groups = head.split(":") if head else []
    if gap:
        behind = tail.split(":") if tail else []
        groups += ["0"] * (8 - len(groups) - len(behind)) + behind
    return ":".join(group.lstrip("0") or "0" for group in groups[:4]).lower().encode() + b"::/64"
