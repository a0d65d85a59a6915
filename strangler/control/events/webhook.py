"""The webhook: each event is sent by POST, signed by Standard Webhooks (standardwebhooks.com, version 1)."""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from strangler.control.events.delivery import Done, Patience, SinkError
from strangler.state.files import WEBHOOK_KEY
from strangler.state.webhook_file import PREFIX, kept_webhook_secret
from strangler.store.events.event import CONTENT_TYPE
from strangler.store.events.outbox import Stored

VARIABLE: Final = "STRANGLER_WEBHOOK_SECRET"
TIMEOUT_S: Final = 10.0

_TRANSIENT = frozenset({408, 409, 425, 429})
"""Refusals that are tried again; any other 4xx is final."""


class SecretError(Exception):
    """There is no usable secret; the message says why."""


def webhook_secret(folder: Path, environ: Mapping[str, str]) -> bytes:
    """Return the key of the signature: from the environment, else from the state folder, where it is made if missing
    and readable by its owner only. It is written as `whsec_` and base64. Raises SecretError."""
    given = environ.get(VARIABLE)
    if given:
        return _decoded(given, VARIABLE)
    path = folder / WEBHOOK_KEY
    try:
        return _decoded(kept_webhook_secret(path).decode(errors="replace"), str(path))
    except OSError as error:
        raise SecretError(f"the secret of the webhook cannot be kept in {folder}: {error.strerror}") from error


def _decoded(text: str, where: str) -> bytes:
    try:
        secret = base64.b64decode(text.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretError(f"{where}: must be {PREFIX} and base64") from error
    if len(secret) < 24:  # the lower bound of the specification
        raise SecretError(f"{where}: must hold at least 24 bytes, in base64")
    return secret


def signature(secret: bytes, identifier: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`."""
    signed = b"%b.%d.%b" % (identifier.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


Decorate = Callable[[bytes], Awaitable[bytes]]


class Webhook:
    """One URL. `webhook-id` is the event's id, the same for every try, so that a receiver can drop duplicates.

    `decorate` returns an event with what only the receiver of this webhook may know; it is neither stored nor logged.
    """

    name = "webhook"
    batch = 1

    def __init__(
        self, url: str, secret: bytes, patience: Patience | None = None, decorate: Decorate | None = None
    ) -> None:
        self.patience = patience or Patience()
        self._decorate = decorate
        self._url = url
        self._secret = secret
        self._session: ClientSession | None = None

    async def deliver(self, events: Sequence[Stored]) -> Done:
        event = events[0]
        status = await self._post(event)
        if 200 <= status < 300:
            return Done(1)
        if 400 <= status < 500 and status not in _TRANSIENT:
            return Done(1, {event.seq: f"status {status}"})
        raise SinkError(f"status {status}")

    async def _post(self, event: Stored) -> int:
        timestamp = int(time.time())
        body = event.body if self._decorate is None else await self._decorate(event.body)
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": "strangler-webhook",
            "webhook-id": event.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secret, event.id, timestamp, body),
        }
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(force_close=True),
                cookie_jar=DummyCookieJar(),
                timeout=ClientTimeout(total=TIMEOUT_S),
            )
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                return response.status
        except TimeoutError as error:
            raise SinkError(f"no response within {TIMEOUT_S:g} s") from error
        except (ClientError, OSError) as error:
            raise SinkError(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
