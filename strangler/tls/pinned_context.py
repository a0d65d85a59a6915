"""TLS towards a listener of our own, which is recognised by its very certificate."""

import ssl
from collections.abc import Iterable, Mapping
from typing import Final

from strangler.core.settings import TlsSettings
from strangler.tls.client_context import ClientTlsState
from strangler.tls.own_certificate import own_certificate

_NO_CHECK_TIME: Final = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which `ssl` does not name


def pinned_context() -> ssl.SSLContext:
    """Return a context that accepts the certificates alone that are loaded into it.

    Host names are not compared: it is the certificate itself that is trusted, whatever address leads to it. Nor are
    dates: a certificate that has expired still proves that this is the proxy.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    return context


class PinnedTlsState(ClientTlsState):
    """The TLS of connections to a listener with one of these certificates."""

    __slots__ = ()

    def __init__(self, paths: Iterable[str], files: Mapping[str, bytes]) -> None:
        """`paths`: the files of the certificates, whose content is in `files`. Raises OSError if one cannot be used."""
        super().__init__(TlsSettings(ca=None, verify=True), {})
        self._context = pinned_context()
        for path in paths:
            certificate = own_certificate(files.get(path, b""))
            if certificate is None:
                raise OSError(f"{path} holds no certificate that can be read")
            self._context.load_verify_locations(cadata=certificate)
