"""TLS of listeners: one context for each set of certificates that a client may be offered."""

import ssl
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from strangler.core.listener_settings import ListenerSettings, ServerTlsSettings
from strangler.tls.chain import ChainError, load_chain

ON_ALERT: ContextVar[Callable[[bytes], None] | None] = ContextVar("strangler_on_alert", default=None)
"""Called with the bytes for the client when a handshake fails that was begun in this context: uvloop, like asyncio,
closes without sending them."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_Content = tuple[bytes, ...]
_SniCallback = Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]


class _ServerObject(ssl.SSLObject):
    """One connection. It is interpreted at the handshake alone: what follows runs as in `ssl`."""

    outgoing: ssl.MemoryBIO | None
    on_alert: Callable[[bytes], None] | None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            if self.outgoing is not None and self.on_alert is not None:
                self.on_alert(self.outgoing.read())
            raise
        self.outgoing = self.on_alert = None


class _ServerContext(ssl.SSLContext):
    """A context whose connections send their alert when the handshake fails."""

    sslobject_class = _ServerObject

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(made, _ServerObject)
        made.outgoing = outgoing
        made.on_alert = ON_ALERT.get()
        return made


@dataclass(frozen=True, slots=True)
class ServerContexts:
    """The contexts of all listeners with TLS, by address. They are kept while settings and files stay the same, so
    that the session tickets of clients stay valid."""

    by_address: Mapping[str, ssl.SSLContext] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    """The listeners whose certificates OpenSSL refuses, with its reason; each keeps its former context, if any."""
    made_of: Mapping[str, tuple[ServerTlsSettings, _Content]] = field(default_factory=dict, repr=False)

    def renewed(self, listeners: Iterable[ListenerSettings], files: Mapping[str, bytes]) -> "ServerContexts":
        """Return the contexts for other settings. Each key takes milliseconds: not to be run in an event loop."""
        by_address, failed, made_of = {}, {}, {}
        for listener in listeners:
            tls, address = listener.tls, str(listener.address)
            if tls is None:
                continue
            wanted = tls, _content(tls, files)
            try:
                if self.made_of.get(address) == wanted:
                    by_address[address] = self.by_address[address]
                else:
                    by_address[address] = server_context(tls, files)
                made_of[address] = wanted
            except (ChainError, ssl.SSLError, KeyError) as error:
                failed[address] = f"{error} is not there" if isinstance(error, KeyError) else str(error)
                if address in self.by_address:
                    by_address[address], made_of[address] = self.by_address[address], self.made_of[address]
        return ServerContexts(by_address, failed, made_of)


def server_context(tls: ServerTlsSettings, files: Mapping[str, bytes]) -> ssl.SSLContext:
    """Return the context for a listener. Raises ChainError for a pair that OpenSSL does not take.

    A client that names a host gets the certificates for exactly that name, else those for `*.` and the name above it.
    One that names none, or an unknown one, gets the first. Of each kind of key there is one: the first in the settings.
    """
    pairs = tls.certificates
    by_name: dict[str, list[int]] = {}
    for at, pair in enumerate(pairs):
        for name in pair.names:
            by_name.setdefault(_folded(name), []).append(at)
    twins = [at for at, pair in enumerate(pairs) if set(pair.names) == set(pairs[0].names)]
    first = _one_of_each_kind(tls, twins)
    made: dict[tuple[int, ...], ssl.SSLContext] = {}
    others: dict[str, ssl.SSLContext | None] = {}
    for name, found in by_name.items():
        offered = _one_of_each_kind(tls, found)
        if offered == first:
            others[name] = None
            continue
        if offered not in made:
            made[offered] = _context(tls, offered, files)
        others[name] = made[offered]
    context = _context(tls, first, files)
    if made:
        context.sni_callback = _chooser(others)
    return context


def ignore_undecodable_names() -> None:
    """Keep the names of hosts that are not ASCII out of standard error.

    `ssl` refuses such a handshake by itself, before our callback, and reports each as an exception that nobody catches.
    """
    former = sys.unraisablehook

    def report(unraisable: "sys.UnraisableHookArgs") -> None:
        if unraisable.exc_type is not UnicodeDecodeError or not isinstance(unraisable.object, bytes):
            former(unraisable)

    sys.unraisablehook = report


def _one_of_each_kind(tls: ServerTlsSettings, places: Sequence[int]) -> tuple[int, ...]:
    kinds: dict[str, int] = {}
    for at in places:
        kinds.setdefault(tls.certificates[at].kind, at)
    return tuple(kinds.values())


def _context(tls: ServerTlsSettings, places: Iterable[int], files: Mapping[str, bytes]) -> ssl.SSLContext:
    context = _ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])  # a client that offers others connects, too, and gets HTTP/1.1
    for at in places:
        pair = tls.certificates[at]
        load_chain(context, files[pair.cert], files[pair.key])
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED if tls.client_cert == "required" else ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # each certificate in the file is trusted
        context.load_verify_locations(cadata=files[tls.client_ca].decode("ascii", "ignore"))
    return context


def _chooser(by_name: Mapping[str, ssl.SSLContext | None]) -> _SniCallback:
    """Return the callback that gives a connection another context by the name that it asks for (RFC 6066 section 3).

    None among the values is the connection's own context: it would refer to itself by its callback, a cycle.
    """

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name is None:
            return
        exact = _folded(name)
        wildcard = "*." + exact.partition(".")[2]
        context = by_name[exact] if exact in by_name else by_name.get(wildcard)
        if context is not None:
            connection.context = context

    return choose


def _folded(name: str) -> str:
    return name.lower().removesuffix(".")


def _content(tls: ServerTlsSettings, files: Mapping[str, bytes]) -> _Content:
    paths = [path for pair in tls.certificates for path in (pair.cert, pair.key)]
    if tls.client_ca is not None:
        paths.append(tls.client_ca)
    return tuple(files.get(path, b"") for path in paths)
