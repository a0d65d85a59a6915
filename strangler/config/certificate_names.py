"""The names in certificates beside the hosts that routes match: what no certificate is for, and what none meets."""

from collections.abc import Iterator

from strangler.config.document import Loc
from strangler.config.notes import Notes
from strangler.core.listener_settings import CertificateSettings, ServerTlsSettings
from strangler.core.settings import Settings


def note_names(settings: Settings, notes: Notes) -> None:
    """Note as warnings what clients or routes can never reach by the names in the listeners' certificates."""
    servers: list[tuple[Loc, ServerTlsSettings]] = [
        (("listen", index, "tls"), listener.tls)
        for index, listener in enumerate(settings.listeners)
        if listener.tls is not None
    ]
    if settings.admin.tls is not None:
        _note_repeated(("admin", "tls"), settings.admin.tls, notes)
    for loc, tls in servers:
        _note_repeated(loc, tls, notes)
        _note_unmet(loc, tls, settings, notes)
    is_only_tls = all(each.tls is not None or each.redirect_port is not None for each in settings.listeners)
    if servers and is_only_tls:
        _note_uncovered(servers, settings, notes)


def covers(name: str, host: str) -> bool:
    """Return whether a name in a certificate is for a host; `*` stands for one label (RFC 9525 section 6.3)."""
    host = host.lower().removesuffix(".")
    if name == host:
        return True
    return name.startswith("*.") and host.partition(".")[2] == name[2:] and not host.startswith("*.")


def _meets(name: str, host: str) -> bool:
    """Return whether a client may send a host that a name is for, and that a route's `match.host` takes."""
    return covers(name, host) or (host.startswith("*.") and name.endswith(host[1:]))


def _pairs(loc: Loc, tls: ServerTlsSettings) -> Iterator[tuple[Loc, CertificateSettings]]:
    for index, pair in enumerate(tls.certificates):
        yield (*loc, "certificates", index, "cert"), pair


def _note_repeated(loc: Loc, tls: ServerTlsSettings, notes: Notes) -> None:
    seen: set[tuple[str, str]] = set()
    for place, pair in _pairs(loc, tls):
        named = {(name, pair.kind) for name in pair.names}
        if named and named <= seen:
            names = ", ".join(pair.names[:3])
            notes.complaints(place, [(f"is for {names}, as an earlier one is", "take one of them out")], "warning")
        seen |= named


def _note_unmet(loc: Loc, tls: ServerTlsSettings, settings: Settings, notes: Notes) -> None:
    """Note certificates for names that no route can meet, where every route asks for a host."""
    hosts = [route.match.host for route in settings.routes]
    if not hosts or None in hosts:
        return
    for place, pair in _pairs(loc, tls):
        if pair.names and not any(_meets(name, host) for name in pair.names for host in hosts if host is not None):
            what = f"is for {', '.join(pair.names[:3])}, which no match.host meets"
            notes.complaints(place, [(what, "all its requests go to legacy")], "warning")


def _note_uncovered(servers: list[tuple[Loc, ServerTlsSettings]], settings: Settings, notes: Notes) -> None:
    """Note hosts of routes that no certificate is for, where clients can connect by TLS alone."""
    names = [name for loc, tls in servers for _, pair in _pairs(loc, tls) for name in pair.names]
    for index, route in enumerate(settings.routes):
        host = route.match.host
        if host is not None and not any(_meets(name, host) for name in names):
            way_out = "no client can reach it; add a certificate, or take the route out"
            notes.complaints(("routes", index, "match", "host"), [("is a name of no certificate", way_out)], "warning")
