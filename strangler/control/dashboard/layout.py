"""The frame around every page: the head and navigation, the notice of an action's outcome, and pages for problems."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from strangler import __version__
from strangler.control.dashboard.kill_switch_view import kill_switch_view
from strangler.control.dashboard.page_content import Content
from strangler.control.dashboard.rendering import environment
from strangler.control.dashboard.sessions import SessionsState
from strangler.control.dashboard.visit import Visit
from strangler.control.visitor import PREFIX_FIELD, Visitor

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""The headers of every response. Only our own scripts and styles run: markup from traffic could do nothing."""

_NOTICES: Final = {
    "killed": "The kill switch is on: every request goes to legacy.",
    "alive": "The kill switch is off: the routes decide again.",
    "route-killed": "The kill switch is on for this route: all its requests go to legacy.",
    "route-alive": "The kill switch is off for this route.",
    "resumed": "Shadowing goes on. The candidate must confirm dry runs again.",
    "known": "Noted as known.",
    "fixed": "Noted as fixed. If it is seen again, it is marked as regressed.",
    "accepted": "Accepted: routes.yaml has the rule.",
    "own": "Its owner is noted.",
    "fold": "Folded: the paths that the template covers are one endpoint now.",
    "unfold": "Unfolded: from now on its paths are endpoints of their own.",
    "ignore": "Ignored: it is hidden, and counts for nothing.",
    "rollout-start": "Started: it climbs from now on.",
    "rollout-pause": "Paused: it stays where it is.",
    "rollout-resume": "Resumed: its evidence begins anew.",
    "rollout-approve": "Approved: the step is entered once all else is there.",
    "rollout-back": "It goes back to legacy, step by step.",
    "shown": "It is shown again, and counts.",
}
_BULK_FIELDS: Final = ("state_said", "changed", "unchanged", "refused", "why_not")
_HEADINGS: Final = {401: "Logged out", 403: "Refused", 404: "Not found"}

MAX_REFUSALS_LENGTH = 300
"""The most characters of reasons why differences were left unchanged, in a notice."""


class Layout:
    """Renders content into whole pages, with the mark that the browser's forms carry."""

    def __init__(self, sessions: SessionsState) -> None:
        self._sessions = sessions

    def page(self, visit: Visit, content: Content, status: int = 200) -> web.Response:
        """Return a whole page around its content."""
        query = visit.request.query
        text = (
            environment()
            .get_template("base.html")
            .render(
                content.context,
                fragment=content.fragment,
                title=content.title,
                live=content.is_live,
                version=__version__,
                base=visit.visitor.prefix,
                path=visit.request.path,
                here=str(visit.request.rel_url.without_query_params("said", *_BULK_FIELDS)),
                mark=self._sessions.mark(visit.cookie),
                is_inside=visit.is_inside,
                can_leave=visit.by_session,
                notice=_notice(query),
                notice_kind="bad" if query.get("said") in ("killed", "route-killed") else "",
                kill_switch=kill_switch_view(visit.state) if visit.is_inside else None,
            )
        )
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")

    def fragment(self, visit: Visit, content: Content) -> str:
        """Return the main part of a page alone."""
        template = environment().get_template("main.html")
        return template.render(
            content.context,
            fragment=content.fragment,
            base=visit.visitor.prefix,
            mark=self._sessions.mark(visit.cookie),
            kill_switch=kill_switch_view(visit.state),
        )

    def problem(self, visit: Visit, status: int, detail: str) -> web.Response:
        """Return a page that says what went wrong, and whether the proxy in front may be the cause."""
        heading = _HEADINGS.get(status, "That did not work")
        if PREFIX_FIELD in visit.visitor.ignored:
            detail = f"{detail} {ignored_prefix_text(visit.visitor)}"
        return self.page(visit, Content(heading, "problem.html", {"heading": heading, "detail": detail}), status)


def ignored_prefix_text(visitor: Visitor) -> str:
    """Return why the prefix of a proxy in front is ignored, and the line that fixes it."""
    return (
        f"{PREFIX_FIELD} of {visitor.address} was ignored. If that is the proxy in front, write"
        f" `trusted_proxies: [{visitor.address}]` under admin in routes.yaml."
    )


def _notice(query: Mapping[str, str]) -> str | None:
    """Return the outcome of the action that led here. It comes from the URL, which anybody may have written."""
    outcome = query.get("said", "")
    return _bulk_notice(query) if outcome == "bulk" else _NOTICES.get(outcome)


def _bulk_notice(query: Mapping[str, str]) -> str:
    changed, unchanged, refused = (_figure(query.get(key, "")) for key in ("changed", "unchanged", "refused"))
    word = query.get("state_said", "")
    parts = [f"{changed:,} noted as {word if word in _NOTICES else 'reviewed'}."]
    parts += [f"{unchanged:,} were in that state already."] if unchanged else []
    parts += [f"{refused:,} left as they were: {query.get('why_not', '')[:MAX_REFUSALS_LENGTH]}."] if refused else []
    return " ".join(parts)


def _figure(text: str) -> int:
    return int(text[:6]) if text.isascii() and text.isdigit() else 0
