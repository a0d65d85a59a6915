"""The ways in which the admin listener of a proxy is not reached, or does not do what a command asks."""

import socket
import ssl
from http.client import BadStatusLine
from typing import Final
from urllib.parse import urlsplit

import click

from strangler.cli._config import BAD_INPUT

_NO_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"}
)
"""The reasons that OpenSSL has, by version, for a response in place of its handshake."""
_HANDSHAKE_S: Final = 5.0


class BadFileError(click.ClickException):
    """routes.yaml, or an environment variable, is not valid."""

    exit_code = BAD_INPUT


class BusyError(click.ClickException):
    """The proxy cannot do it at the moment."""


def absent(url: str, error: Exception) -> click.ClickException:
    """Return the error for an admin listener that gave no response: what is there instead, if that can be found out."""
    scheme, _, authority = url.partition("://")
    if scheme == "https" and isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return click.ClickException(f"{authority} does not use TLS; name it as http://{authority}")
    if scheme == "http" and isinstance(error, ConnectionResetError | BadStatusLine) and _uses_tls(url):
        return click.ClickException(f"{authority} uses TLS; name it as https://{authority}")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return click.ClickException(f"no proxy answers at {authority} ({reason}); is `strangler serve` running?")


def _uses_tls(url: str) -> bool:
    """Return whether a listener that does not understand a request in clear completes a handshake."""
    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent to it
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 80), _HANDSHAKE_S) as connection,
            context.wrap_socket(connection),
        ):
            return True
    except OSError:
        return False
