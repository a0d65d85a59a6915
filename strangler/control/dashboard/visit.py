"""One request of a browser, and how its form and its links are read."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from aiohttp import web
from multidict import MultiMapping
from yarl import URL

from strangler.control.dashboard.actions import ActionError
from strangler.control.dashboard.pages import Control
from strangler.control.visitor import Visitor


class Access(Enum):
    """The permission that a path needs."""

    LOGIN = auto()
    OPEN = auto()
    """None, as the login itself; forms need the mark of our pages."""
    LINK = auto()
    """None that the browser keeps: no cookie is set or needed, since the address or the form itself is the permission.
    Such a path may be reached by the name in `admin.url`, too."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser. `is_inside`: it may see the pages and use the actions."""

    request: web.Request
    state: Control
    visitor: Visitor
    cookie: str
    is_new: bool  # the cookie was made for this request
    is_inside: bool
    by_session: bool

    @property
    def actor(self) -> str:
        """The visitor's name in the audit."""
        return self.visitor.name("dashboard")

    def see(self, target: URL) -> web.Response:
        """Redirect the browser to a path of the dashboard, below the prefix of the proxy in front."""
        return web.Response(status=303, headers={"Location": f"{self.visitor.prefix}{target}"})


Handler = Callable[[Visit], Awaitable[web.StreamResponse]]


async def read_form(request: web.Request) -> MultiMapping[Any]:
    """Return the fields of a form. aiohttp keeps them, so that a second call costs nothing."""
    try:
        return await request.post()
    except (ValueError, LookupError):  # bytes that are not text, an unknown charset
        raise ActionError(400, "This form cannot be read.") from None


def form_text(form: Mapping[str, Any], key: str) -> str:
    """Return a text field of a form without the space around it, empty if the field is absent or a file."""
    value = form.get(key, "")
    return value.strip() if isinstance(value, str) else ""


def local_url(text: str) -> URL:
    """Return a path of the dashboard; the overview for anything else, since a link to the login must not lead away."""
    try:
        url = URL(text)
    except ValueError:
        return URL("/")
    is_here = text.startswith("/") and not text.startswith("//") and "\\" not in text and not url.is_absolute()
    return url if is_here and text.isprintable() else URL("/")
