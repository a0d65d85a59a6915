"""TLS towards an upstream."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

from strangler.core.settings import TlsSettings, Url
from strangler.tls.chain import ChainError, load_chain


@dataclass(frozen=True, slots=True, repr=False)
class _Material:
    """The parts that a context is made of."""

    authorities: str | None  # PEM; None: those of the system
    verify: bool
    cert: bytes | None
    key: bytes | None


_in_use: WeakValueDictionary[_Material, ssl.SSLContext] = WeakValueDictionary()
"""Upstreams that need the same context share it: with the system's authorities one takes 27 ms and 0.8 MiB."""


def upstream_context(settings: TlsSettings, files: Mapping[str, bytes]) -> ssl.SSLContext:
    """Return the context of connections to an upstream; `files` are those of `Settings`.

    Raises OSError, of which ssl.SSLError is one, if a file is missing or cannot be used.
    """
    has_cert = settings.cert is not None
    material = _Material(
        authorities=_authorities(settings.ca, files),
        verify=settings.verify,
        cert=_content(settings.cert, files) if has_cert else None,
        key=_content(settings.key or settings.cert, files) if has_cert else None,
    )
    context = _in_use.get(material)
    if context is None:
        try:
            context = _in_use[material] = _made_of(material)
        except ChainError as error:
            raise OSError(f"{settings.cert}: {error}") from error
    return context


def _made_of(material: _Material) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=material.authorities)
    if not material.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if material.cert is not None and material.key is not None:
        load_chain(context, material.cert, material.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _authorities(path: str | None, files: Mapping[str, bytes]) -> str | None:
    """Return the authorities to trust in place of the system's; None: the system's."""
    if path is None:
        return None
    text = _content(path, files).decode("ascii", "ignore")  # comments may hold any bytes
    if not text:
        raise OSError(f"{path} is empty")  # `ssl` would take the system's authorities
    return text


def _content(path: str | None, files: Mapping[str, bytes]) -> bytes:
    if path is None or path not in files:
        raise FileNotFoundError(f"{path} has not been read")
    return files[path]


class ClientTlsState:
    """The TLS of the connections to one upstream. Its context is made at the first use, and again after a change."""

    __slots__ = ("_context", "_files", "_settings")

    def __init__(self, settings: TlsSettings, files: Mapping[str, bytes]) -> None:
        self._settings = settings
        self._files = _named(settings, files)
        self._context: ssl.SSLContext | None = None

    def adopt(self, settings: TlsSettings, files: Mapping[str, bytes]) -> None:
        """Use these settings, and what their files hold now, for new connections."""
        named = _named(settings, files)
        if (settings, named) != (self._settings, self._files):
            self._settings, self._files, self._context = settings, named, None

    @property
    def context(self) -> ssl.SSLContext:
        """Return the context. Raises OSError if a file is missing or cannot be used."""
        if self._context is None:
            self._context = upstream_context(self._settings, self._files)
        return self._context

    def server_name(self, url: Url) -> str:
        """Return the name in the handshake, which is also the one that the certificate must have."""
        return self._settings.server_name or url.server_name


def _named(settings: TlsSettings, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files that the settings name, as far as they have been read."""
    paths = (settings.ca, settings.cert, settings.key)
    return {path: files[path] for path in paths if path is not None and path in files}
