"""Rules that join several keys, checked on everything that is valid by itself.

Errors stop the file from being used; warnings are what its author would want to know.
"""

from collections.abc import Callable
from datetime import date

from strangler.config import rules_routes, rules_upstreams, urls
from strangler.config.document import Document, Loc
from strangler.config.notes import Notes
from strangler.config.problem import Problem
from strangler.config.rules_engine import check_engine
from strangler.config.rules_ledger import check_ledger
from strangler.config.schema import File
from strangler.config.schema_listeners import Listener
from strangler.config.schema_tls import ServerTls
from strangler.core.listener_settings import Address

MIN_HEADER_BYTES = 1 << 10


def check(file: File, document: Document, today: date, now: float) -> list[Problem]:
    """Return everything that the rules find, in no order. `today` decides which accept rules have expired, `now`,
    a Unix time, which routes are retired."""
    notes = Notes(document)
    for rule in _RULES:
        rule(file, notes)
    rules_upstreams.check(file, notes)
    rules_routes.check(file, notes, today, now)
    return notes.found


def _check_admin(file: File, notes: Notes) -> None:
    admin = file.admin
    if admin.tls is not None:
        _check_tls(("admin", "tls"), admin.tls, notes)
    if admin.token is None and not urls.is_loopback(admin.listen) and not notes.is_lost(("admin", "token")):
        notes.value(
            ("admin", "listen"),
            "without admin.token only a loopback address may be bound; set a token or use 127.0.0.1",
        )


def _check_listeners(file: File, notes: Notes) -> None:
    if not file.listen and not notes.has_lost(("listen",)):
        notes.error(("listen",), "listen is empty", "write where clients connect, such as 127.0.0.1:8080")
    admin = file.admin.listen
    for index, listener in enumerate(file.listen):
        _check_listener(index, listener, notes)
        address = listener.address
        if any(address == each.address or _overlap(address, each.address) for each in file.listen[:index]):
            notes.error(("listen", index), f"an earlier listener takes {address} already", "take one of them out")
        if _overlap(address, admin):
            loc = ("admin", "listen") if notes.is_written(("admin", "listen")) else ("listen", index)
            notes.error(loc, f"listen and admin.listen both take port {address.port}", "give each a port of its own")


def _check_listener(index: int, listener: Listener, notes: Notes) -> None:
    loc = ("listen", index)
    protocol, tls = listener.proxy_protocol, listener.tls
    if tls is not None:
        _check_tls((*loc, "tls"), tls, notes)
        if tls.client_ca is None and tls.client_cert == "required" and not notes.is_lost((*loc, "tls", "client_ca")):
            notes.value((*loc, "tls", "client_cert"), "name the authorities that verify clients in tls.client_ca")
        if listener.redirect is not None and listener.redirect == listener.address.port:
            notes.error((*loc, "redirect"), "redirect leads to this listener itself", "take it out, or take tls out")
    if listener.address.unix_path is None:
        for key in ("mode", "group"):
            if notes.is_written((*loc, key)):
                notes.error((*loc, key), f"listen has {key}", "it is for unix sockets alone; take it out", key=True)
    if protocol is not None and not protocol.from_ and not notes.has_lost((*loc, "proxy_protocol")):
        notes.error(
            (*loc, "proxy_protocol"),
            "proxy_protocol.from names nobody",
            "name the load balancers, such as [10.0.0.0/8]",
        )


def _check_receiver(file: File, notes: Notes) -> None:
    """The receiver has an address of its own."""
    if file.receiver is None:
        return
    loc, at = ("receiver", "listen"), file.receiver.listen
    for name, address in (*(("listen", each.address) for each in file.listen), ("admin.listen", file.admin.listen)):
        if _overlap(at, address):
            notes.error(loc, f"receiver.listen and {name} both take {at}", "give each an address of its own")
            return


def _check_tls(loc: Loc, tls: ServerTls, notes: Notes) -> None:
    if not tls.certificates and not notes.has_lost((*loc, "certificates")):
        notes.error(
            (*loc, "certificates"),
            f"{notes.key((*loc, 'certificates'))} is empty",
            "write one, such as {cert: shop.pem, key: shop.key}",
        )


def _overlap(first: Address, other: Address) -> bool:
    """Tell whether two listeners take the same place. Port 0 is one that the system chooses."""
    if first.unix_path is not None or other.unix_path is not None:
        return first == other
    if not first.port or first.port != other.port:
        return False
    hosts = urls.numeric(first), urls.numeric(other)
    if hosts[0] == hosts[1] or "::" in hosts:  # which takes IPv4, too
        return True
    return "0.0.0.0" in hosts and not any(":" in host for host in hosts)


def _check_limits(file: File, notes: Notes) -> None:
    for key in ("header_bytes", "response_header"):
        if getattr(file.limits, key) < MIN_HEADER_BYTES:
            notes.value(("limits", key), "no real header section fits; it must be at least 1KiB")


def _check_trust(file: File, notes: Notes) -> None:
    listed: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
        (("trusted_proxies",), file.trusted_proxies),
        (("admin", "trusted_proxies"), file.admin.trusted_proxies),
    )
    for loc, networks in listed:
        for index, network in enumerate(networks):
            if network.endswith("/0"):
                notes.value(
                    (*loc, index), "every client could claim to be another; name only the proxies in front", "warning"
                )


def _check_users(file: File, notes: Notes) -> None:
    admin = file.admin
    if admin.users is not None and not admin.trusted_proxies and not notes.is_lost(("admin", "trusted_proxies")):
        notes.value(
            ("admin", "users"),
            "admin.trusted_proxies is empty, so no proxy is trusted and the audit names no user;"
            " list the address of the proxy in front of the admin listener",
            "warning",
        )


def _check_links(file: File, notes: Notes) -> None:
    admin = file.admin
    has_links = file.events.webhook is not None and any(
        route.rollout is not None and route.rollout.approve for route in file.routes
    )
    if has_links and admin.url is None and urls.is_loopback(admin.listen) and not notes.is_lost(("admin", "url")):
        notes.warning(
            ("events", "webhook"),
            f"events.webhook sends approval links to {admin.listen}, which for a reader elsewhere is their own machine",
            "write where people reach the dashboard, such as `admin: {url: https://ops.example.com/strangler}`",
        )


_RULES: tuple[Callable[[File, Notes], None], ...] = (
    _check_admin,
    _check_listeners,
    _check_receiver,
    _check_limits,
    _check_trust,
    _check_users,
    _check_links,
    check_ledger,
    check_engine,
)
