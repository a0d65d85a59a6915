"""Rules that join several keys, checked on everything that is valid by itself.

Errors stop the file from being used; warnings are what its author would want to know.
"""

from collections.abc import Callable
from datetime import date

from strangler.config import rules_routes, rules_upstreams, urls
from strangler.config.document import Document
from strangler.config.notes import Notes
from strangler.config.problem import Problem
from strangler.config.schema import File

MIN_HEADER_BYTES = 1 << 10


def check(file: File, document: Document, today: date) -> list[Problem]:
    """Return everything that the rules find, in no order. `today` decides which accept rules have expired."""
    notes = Notes(document)
    for rule in _RULES:
        rule(file, notes)
    rules_upstreams.check(file, notes)
    rules_routes.check(file, notes, today)
    return notes.found


def _check_admin(file: File, notes: Notes) -> None:
    admin = file.admin
    if admin.token is None and not urls.is_loopback(admin.listen) and not notes.is_lost(("admin", "token")):
        notes.value(
            ("admin", "listen"),
            "without admin.token only a loopback address may be bound; set a token or use 127.0.0.1",
        )


def _check_listeners(file: File, notes: Notes) -> None:
    listen, admin = file.listen, file.admin.listen
    same_host = urls.numeric(listen) == urls.numeric(admin) or urls.is_any(listen) or urls.is_any(admin)
    if listen.port and listen.port == admin.port and same_host:
        loc = ("admin", "listen") if notes.is_written(("admin", "listen")) else ("listen",)
        notes.error(loc, f"listen and admin.listen both take port {listen.port}", "give each a port of its own")


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


_RULES: tuple[Callable[[File, Notes], None], ...] = (
    _check_admin,
    _check_listeners,
    _check_limits,
    _check_trust,
    _check_users,
)
