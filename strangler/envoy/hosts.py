"""The virtual hosts: Envoy chooses one by a request's host and looks into no other, so each has all routes that count
for its host, those of wider ones after its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from strangler.core.settings import RouteSettings

ANY_HOST = "*"
_WILDCARD = "*."


@dataclass(frozen=True, slots=True)
class HostRoutes:
    """One virtual host: `*` for any host, `*.example.com`, or an exact one; and its routes' places in the file."""

    host: str
    tiers: tuple[tuple[int, ...], ...]
    """The routes of the host itself, of each wider host, the longest wildcard first, and of any host."""

    @property
    def domains(self) -> list[str]:
        """The domains as Envoy has them: a final dot of a host does not count."""
        return [self.host] if self.host == ANY_HOST else [self.host, f"{self.host}."]

    @property
    def is_wildcard(self) -> bool:
        return self.host.startswith(_WILDCARD)


def by_host(routes: Sequence[RouteSettings]) -> list[HostRoutes]:
    """Return the virtual hosts, any host last."""
    found: dict[str, list[int]] = {}
    for index, route in enumerate(routes):
        found.setdefault((route.match.host or ANY_HOST).lower(), []).append(index)
    for_any = tuple(found.pop(ANY_HOST, ()))
    wildcards = sorted((host for host in found if host.startswith(_WILDCARD)), key=len, reverse=True)
    hosts = []
    for host in found:
        wider = [each for each in wildcards if each != host and host.endswith(each[1:])]
        tiers = [found[each] for each in (host, *wider)]
        hosts.append(HostRoutes(host, (*map(tuple, tiers), for_any)))
    return [*hosts, HostRoutes(ANY_HOST, (for_any,))]
