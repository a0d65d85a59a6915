"""The certificates that a command accepts of the admin listener, and what it reports of one that it does not accept."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from strangler.tls.own_certificate import own_certificate
from strangler.tls.pinned_context import pinned_context

_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_NOT_YET_VALID: Final = 9  # X509_V_ERR_CERT_NOT_YET_VALID
_OTHER_NAME: Final = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class TrustError(Exception):
    """Nothing can be trusted; the message says why and the way out."""


class Trust(Protocol):
    """The rule by which a command accepts a certificate."""

    def context(self) -> ssl.SSLContext:
        """Return a context for one connection. Raises TrustError."""
        ...

    def explain(self, error: ssl.SSLCertVerificationError) -> str:
        """Return why the certificate was refused and the way out, as the continuation of the listener's address."""
        ...


@dataclass(frozen=True, slots=True)
class Pinned:
    """Trust in the very certificates that routes.yaml names, and in those that the running proxy has published in its
    state folder: it keeps an earlier one while the files on disk cannot be used."""

    paths: tuple[str, ...]
    published: tuple[str, ...] = ()

    def context(self) -> ssl.SSLContext:
        """Return a context that accepts these certificates alone, also expired: the kill switch may be needed."""
        context = pinned_context()
        are_loaded = [_is_loaded(context, text) for text in self.published]
        problems = [problem for path in self.paths if (problem := _problem_of(context, path)) is not None]
        if not any(are_loaded) and len(problems) == len(self.paths):
            reason = "; ".join(problems) or "the proxy has not published one yet"
            raise TrustError(
                f"there is no certificate to recognise the admin listener by: {reason};"
                " name the listener and an authority: --admin https://HOST:PORT --cacert FILE"
            )
        return context

    def explain(self, error: ssl.SSLCertVerificationError) -> str:
        named = " or ".join(self.paths) or "the running proxy's"
        return (
            f"shows another certificate than {named}, so it may not be the proxy; if it is, name it with"
            " --admin https://HOST:PORT --cacert FILE"
        )


@dataclass(frozen=True, slots=True)
class Authorities:
    """Trust in what the authorities in a file have signed for the host; without a file, in the system's authorities."""

    file: str | None

    def context(self) -> ssl.SSLContext:
        if self.file is None:
            return ssl.create_default_context()
        try:
            return ssl.create_default_context(cafile=self.file)
        except ssl.SSLError:
            raise TrustError(f"--cacert {self.file}: it holds no PEM certificate that can be read") from None
        except OSError as error:
            raise TrustError(f"--cacert {self.file}: it cannot be read ({error.strerror})") from None

    def explain(self, error: ssl.SSLCertVerificationError) -> str:
        if error.verify_code == _EXPIRED:
            return "shows a certificate that has expired; renew it"
        if error.verify_code == _NOT_YET_VALID:
            return "shows a certificate that is not valid yet; compare the clocks of both machines"
        if error.verify_code in _OTHER_NAME:
            return "shows a certificate for other names; use one of its names with --admin"
        if self.file is None:
            return (
                f"shows a certificate that no authority of this system has signed ({error.verify_message}); name its"
                " authority, or the certificate itself if it has signed itself, with --cacert FILE"
            )
        return f"shows a certificate that {self.file} does not vouch for ({error.verify_message})"


def _problem_of(context: ssl.SSLContext, path: str) -> str | None:
    """Trust the first certificate of a file; return why that is impossible."""
    try:
        text = own_certificate(Path(path).read_bytes())
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    is_loaded = text is not None and _is_loaded(context, text)
    return None if is_loaded else f"{path} holds no certificate that can be read"


def _is_loaded(context: ssl.SSLContext, certificate: str) -> bool:
    """Trust a certificate; return False if it cannot be read."""
    try:
        context.load_verify_locations(cadata=certificate)
    except ssl.SSLError:  # PEM around something else
        return False
    return True
