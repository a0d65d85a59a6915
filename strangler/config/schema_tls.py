"""The keys of `tls` at listeners."""

from typing import Annotated, Literal

from strangler.config import types as t
from strangler.config.section import REQUIRED, Section, key
from strangler.config.types import LIST, word


class Certificate(Section):
    cert: t.Text = key(REQUIRED, "PEM file of the certificate, followed by its chain.", "/etc/strangler/shop.pem")
    key_: t.MaybeText = key(
        None, "PEM file of its key, without a passphrase; null: it is in `cert`.", "shop.key", name="key"
    )


class ServerTls(Section):
    """The keys that all listeners have in common."""

    certificates: Annotated[tuple[Certificate, ...], LIST] = key(
        REQUIRED,
        "Certificates by the names in them; a client that names no other host gets the first. RSA and ECDSA may stand"
        " side by side.",
        "[{cert: shop.pem, key: shop.key}]",
    )
    min_version: Annotated[Literal["1.2", "1.3"], *word("1.2", "1.3")] = key(
        "1.2", "Lowest version of TLS that is accepted.", '"1.3"'
    )


class ListenerTls(ServerTls):
    """The keys of a listener for clients."""

    client_ca: t.MaybeText = key(
        None,
        "PEM file of the authorities that verify client certificates, which upstreams get as Client-Cert; null: clients"
        " are not asked for one.",
        "clients-ca.pem",
    )
    client_cert: Annotated[Literal["optional", "required"], *word("optional", "required")] = key(
        "optional", "`required`: a client without a valid certificate is refused in the handshake.", "required"
    )
