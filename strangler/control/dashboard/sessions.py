"""Sessions of the dashboard, and the marks that prove that an action comes from one of its pages.

If there is a token, a browser trades it for a session: a random cookie that is kept here until it expires, the browser
logs out, or the token changes. Without a token the cookie only identifies a browser. In both cases a form carries a
mark made of the cookie and a key of this process, which no page from elsewhere can know.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

COOKIE = "strangler_session"
LASTS_S = 12 * 3600.0
MAX_SESSIONS = 1000

_NAME_BYTES = 24
_NAME_LENGTH = 32  # in base64


@dataclass(slots=True)
class SessionsState:
    """Owns the sessions. They end with this process; at most `MAX_SESSIONS` are kept, the newest."""

    clock: Callable[[], float] = time.monotonic
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _until: dict[bytes, float] = field(default_factory=dict, repr=False)
    _token: bytes = field(default=b"", repr=False)

    def begin(self, token: str) -> str:
        """Begin a session and return its cookie. The caller has checked the token."""
        self._follow(token)
        now = self.clock()
        self._until = {name: until for name, until in self._until.items() if until > now}
        while len(self._until) >= MAX_SESSIONS:
            del self._until[next(iter(self._until))]
        cookie = new_cookie()
        self._until[self._hash("session", cookie)] = now + LASTS_S
        return cookie

    def holds(self, cookie: str, token: str) -> bool:
        """Return whether the cookie is that of a session begun with this token."""
        self._follow(token)
        return self._until.get(self._hash("session", cookie), 0.0) > self.clock()

    def end(self, cookie: str) -> None:
        """End the session of a cookie."""
        self._until.pop(self._hash("session", cookie), None)

    def mark(self, cookie: str) -> str:
        """Return the mark that a form must carry."""
        return self._hash("form", cookie).hex()

    def is_ours(self, cookie: str, mark: str) -> bool:
        """Return whether one of our pages made a form for this browser."""
        return hmac.compare_digest(self.mark(cookie).encode(), _bytes(mark))

    def _follow(self, token: str) -> None:
        """End all sessions if the token has changed."""
        now = self._hash("token", token)
        if not hmac.compare_digest(now, self._token):
            self._until.clear()
            self._token = now

    def _hash(self, purpose: str, text: str) -> bytes:
        return blake2b(_bytes(text), key=self._key, person=purpose.encode(), digest_size=32).digest()


def new_cookie() -> str:
    """Return 192 random bits as text."""
    return secrets.token_urlsafe(_NAME_BYTES)


def is_cookie(text: str) -> bool:
    """Return whether a value looks like one of our cookies."""
    return len(text) == _NAME_LENGTH and text.isascii()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
